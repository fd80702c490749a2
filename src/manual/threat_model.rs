//! Who is kept from the unlock code, and who is not.
//!
//! A device opens to whoever has three things: the device, its manifest and its unlock code. This program keeps the last
//! two apart, so that whoever finds or steals one of them has nothing.
//!
//! # Who is kept out
//!
//! | who | by what | shown by |
//! | --- | --- | --- |
//! | Another user of the same machine | Files and folders that only their owner can open; nothing on a command line; processes whose memory the same system's other users can't read | `tests/leak/other_user.rs::another_user_reads_nothing` |
//! | Whoever reads process lists, audit logs of started programs, or the console of an endpoint protection | The code is in no argument list and in no environment | `tests/leak/command_lines.rs::no_program_is_started_with_it` |
//! | Whoever reads logs, CI output, scrollback or a support ticket | One redacting writer; a ceiling over what libraries may log | `tests/whole/logs.rs::the_most_talkative_run_tells_what_was_done_and_no_secret` |
//! | Whoever gets a copy of the state folder: a backup, a synchronised folder | The manifest is there, the code is not | `tests/leak/files.rs::no_file_after_success` |
//! | The finder of a laptop that was switched off | The code is in the keychain, under its password. The private folder lies in memory on Linux; on macOS and Windows it is on the disk while a run lasts, and only disk encryption protects what it leaves there | `tests/leak/files.rs::no_file_after_success` |
//! | Whoever collects crash dumps | No core file of the program, nor of the client | `tests/leak/cores.rs::an_agent_that_crashes_with_the_code_in_its_hands_leaves_no_core`, `tests/leak/cores.rs::a_crash_while_the_client_has_the_code_leaves_no_core` |
//! | A program put in the client's place by another user | Launcher, package and all folders above must not be writable by others | `src/device/client/integrity_tests.rs::anything_that_others_can_write_to_is_refused_by_name` |
//! | Another user who can change something that a run goes by: a settings file, the CA file, the AWS profile files, a folder above one | It is refused before it is read (below) | `tests/paths/two_users.rs::a_second_user_has_no_say_in_what_a_run_goes_by`, `tests/paths/two_users.rs::a_second_user_has_no_say_in_the_state_folder` |
//! | A device that is not the one of the job, or none of the cluster's nodes | Its id is compared before anything is asked of it. A cluster has one code for all nodes: whoever has it can open each of them | `tests/whole/first_start.rs::another_device_is_refused_before_it_is_touched` |
//! | A server that only pretends to be AWS | https with a known CA everywhere, no redirect to another host | `tests/cloud/network.rs::certificates_are_taken_from_where_they_should_be`, `tests/whole/refusals.rs::bad_downloads_cost_nothing` |
//! | An operator in a hurry, where rules forbid the command line or a keychain | What the system's file locks can't be said otherwise (`tests/whole/locks.rs::no_flag_and_no_variable_goes_before_a_lock`), and that file counts only if the administrator alone can write it. It binds this program; whoever wants to can run another one | `tests/whole/locks.rs::a_system_file_that_others_can_write_is_refused_with_what_is_wrong` |
//!
//! # Whose a path is
//!
//! What another user can change is not read as ours, obeyed, run, followed, written or removed. One rule decides that
//! for everything: the state folder and its files, the settings files, the CA file, the AWS profile files, the log file, the
//! client with all of its files, and the private folder's place. It goes from the root of the file system to the thing, name by
//! name, and looks at owner, mode, group and access list of what it opened, and at the owner of each link.
//!
//! - **Trusted** are this user and the administrator; for the settings of all users, the administrator alone.
//! - **A folder with the sticky bit** (`/tmp`) may lie on the way: others can add to it, and can't exchange what is yours.
//! - **A group of your own** counts as you. Many Linux distributions give each user one, and files the mode 0664 (umask 002):
//!   your first group, if it has your name and nobody else is in it by `/etc/passwd` and `/etc/group`. Any other group
//!   that may write is others. Root's group counts as root while no person is in it, as do Debian's `staff` without members and macOS's
//!   administrators (`admin`).
//! - **PATH and TMPDIR** are passed to programs that are started, without the folders that others can change, or with a program in them
//!   that leads to what others can change; a note says which. One such program in a folder of the system leaves the folder: the
//!   client, or a `credential_process`, is refused if it would run that program
//!   (`tests/paths/two_users.rs::what_a_second_user_can_change_does_not_reach_the_client`).
//! - **Scripts**: what the first line of the client's or a `credential_process` names (`#!`, `env`) follows the same rule. A line
//!   that is not understood is refused. It is not part of the client's SHA-256, nor is a Java that is not the client's own.
//! - **A file system that keeps no owners** (NTFS, exFAT, a Windows share, `/mnt/c` of WSL) is found out by what is made on it,
//!   before AWS is asked; nothing is left there
//!   (`tests/paths/file_systems.rs::where_nobody_owns_anything_nothing_is_fetched_and_nothing_is_left`).
//! - **Root with another user's home** (`sudo -E`) makes nothing there
//!   (`tests/paths/places.rs::root_makes_nothing_in_another_user_s_home`).
//! - **What is removed** is only what this program made, by its name
//!   (`tests/paths/places.rs::what_is_in_a_folder_that_is_no_state_folder_stays`).
//!
//! Not looked at: access lists that a network file system keeps to itself (NFSv4, SMB); what a program that your own AWS
//! profile names (`credential_process`) reads and runs in turn. The access lists of macOS are looked at by code that
//! nobody has run on a Mac.
//!
//! # Who is not
//!
//! - **The administrator** (root, SYSTEM). Reads every memory and every file. Processes are closed to debuggers and leave
//!   no dump, which makes it harder and not impossible.
//! - **Malicious software that runs as the same user.** On most systems it can ask the same keychain. macOS and KeePassXC ask
//!   the person first if another program wants the item; GNOME Keyring, KWallet, Windows and the Linux kernel don't.
//! - **A proxy that inspects TLS**, if its CA was added (`--ca-bundle`, or to the system's). It sees what AWS answers: the
//!   code and the address of the manifest. Such a proxy must not log bodies of `GetJobUnlockCode`.
//! - **Swap and hibernation.** Memory may be written to disk by the system at any time. The page that the code lies in is
//!   locked against swapping where the system grants that
//!   (`src/model/secret.rs::a_code_is_kept_out_of_the_swap_and_shares_its_page_with_nothing`); the buffers of libraries and the
//!   private folder in memory are not, and nothing is when the machine hibernates. Encrypt the swap, as full-disk
//!   encryption does.
//! - **The heap of the vendor's client.** What it keeps in memory, and whether it wipes it, is the vendor's. What it wrote
//!   into its own private home goes with the home; of a run that failed its logs are kept beside the record, without any line
//!   that has a part of the code in it
//!   (`src/device/guard/client_log.rs::a_line_with_a_part_of_the_code_is_left_out_however_it_is_written`).
//! - **The vendor's client and OpsHub, used by hand.** They keep codes in clear in their own settings. A run tells of the
//!   job's code there, and offers the command that takes it out
//!   (`tests/whole/first_start.rs::a_code_in_clear_in_the_client_s_own_settings_is_told_with_the_command_that_takes_it_out`).
//! - **Whoever may call `GetJobUnlockCode` and `GetJobManifest` in the AWS account.** AWS gives both halves to one
//!   permission level. Give those two permissions to few, and watch their use in CloudTrail.
//! - **A program of yours that leaves its session.** What your AWS profile names (`credential_process`) is ended with all that it
//!   started, at its deadline and with this program
//!   (`tests/cloud/process.rs::the_agent_s_end_is_its_end_whatever_that_was`). What it started in a session of its own (`setsid`)
//!   goes on if the process of this program that watches it is itself killed with SIGKILL, since nobody is left to end it.
//! - **Whoever holds the machine unlocked**, with its user signed in.
//!
//! # The cases that a reviewer asks about
//!
//! - **Another machine on the local network that answers at the device's address**, or a DNS name that leads to one. The program
//!   makes no connection of its own that carries a secret: it only tries whether the port answers. What the vendor's client
//!   sends to an address, and whether it checks the device's certificate first, is the vendor's and documented nowhere. So
//!   the address from the device's display is safer than a name; a name is looked up once and the client is given the address;
//!   a name that leads out of the local network is refused
//!   (`src/device/session/port.rs::the_client_gets_the_address_that_a_name_led_to`). A device that says another id than the
//!   job's is not asked to open (`tests/device_behaviour/states.rs::the_device_of_another_job_is_left_alone_even_when_open`).
//! - **A hostile environment.** Variables count as what the user typed: whoever can set them runs as the user already. Still
//!   the client gets an allow-list of them, none of AWS
//!   (`tests/device_behaviour/handing_over.rs::the_client_sees_an_allow_list_and_stands_nowhere`), a PATH without folders that
//!   others can change, and a session bus is used only if this user runs it
//!   (`tests/keychain/buses.rs::the_bus_of_another_user_is_refused`).
//! - **Being kept from work.** Another user can't hold the locks or fill the state folder, but can fill a shared disk or a
//!   shared memory. Every wait has a deadline, a client that floods or hangs is ended
//!   (`tests/device_behaviour/endings.rs::a_flood_blocks_nothing_and_hides_nothing_before_it`), and a run that broke off can be
//!   repeated (`tests/whole/sudden_death.rs::after_a_sigkill_the_same_command_opens_the_device`).
//! - **The audit log** is a file of the user's; what it proves has a section of its own below. AWS's CloudTrail has each
//!   `GetJobUnlockCode` and `GetJobManifest`, out of the user's reach.
//! - **Recycle bins and old versions.** KeePassXC keeps both, so the code is overwritten before it is deleted (chapter on the life
//!   of a code). Backups of a keychain are out of reach. Manifests are removed from the disk, and not moved to a bin.
//! - **The way of an update.** The program does not update itself and asks no server for a version. Who installs it decides what
//!   is installed.
//! - **An insider with both halves.** Whoever may run the program for a job has both halves and can open the device: that is what it
//!   is for. It keeps them from everybody else, and leaves a trace: the audit log here, CloudTrail at AWS. To give the code to
//!   one person and the manifest to another, use two IAM identities; this program then can't do the whole run.
//!
//! # What the audit log proves
//!
//! `audit.jsonl` has a line before and after each step with a code: when, which account by number and name as the system knows it,
//! on which host, which process, for which command, which job, which manifest. A line about a session with the client names the
//! device's address, the hand-over method, and the client by version and SHA-256
//! (`tests/whole/receipt.rs::after_forget_it_still_says_at_which_device_with_which_client_and_how`). Nothing of it is taken from a variable
//! (`tests/whole/audit.rs::user_is_not_who_the_environment_says`). Each line carries the SHA-256 of the one before. The hash of the
//! last line, the head, goes into the record of the job, and with `snow-onboard receipt` into what you file.
//!
//! `snow-onboard audit verify` tells of a line that was removed, changed, inserted, moved or cut, by its number
//! (`src/store/audit/tests.rs::no_edit_goes_unseen`); of a log that is shorter than a record, or a receipt with `--head`, knows it
//! (`tests/whole/audit.rs::what_was_done_to_the_log_is_told_by_its_line_also_by_doctor`); `snow-onboard doctor` does the same. It
//! ends with exit code 9 and `audit_altered`. A line that a power cut tore is told until the next line covers it, and is named from
//! then on; half a line that was added by hand looks the same. Lines of versions without a chain that are before the first link stay; the chain covers them from there on. After it, a
//! whole line that is in no chain was added by hand, or by an older version: it is a flaw for ever, also when a later line covers it
//! (`src/store/audit/tests.rs::a_whole_line_in_no_chain_is_told_for_ever_also_when_a_later_line_covers_it`), and `audit show` and
//! `receipt` mark it (`tests/whole/audit.rs::a_cut_line_and_lines_of_an_older_version_are_told_and_the_next_run_goes_on`). Two runs at once take
//! turns (`tests/whole/audit.rs::runs_at_once_lose_no_line`).
//!
//! It shows accidents and clumsy edits. It does **not** show what a determined user does who may write the file: there is no key in
//! it, so the same account, or an administrator, can write all lines and records anew. Nor does it show that lines
//! at the end are gone, after the last one whose head a record or a receipt has: after `forget`, which removes the record, and after
//! a command that was killed, or a disk that was full, before the record was written. Every other command that writes a line about a
//! job writes the head into the job's record (`tests/whole/audit.rs::every_command_leaves_the_log_s_head_in_the_record`). `audit verify`
//! says which line is the last that is known (`tests/whole/audit.rs::what_was_done_to_the_log_is_told_by_its_line_also_by_doctor`).
//! Against that there are two things outside of the user's reach: a receipt that somebody else has,
//! and the copy of each line in the system's log. `audit_copy = "system"`, which an administrator can lock, sends each line to
//! `/dev/log`, if that is a socket of root's: the journal or a syslogd, facility authpriv. If it can't be sent, the step is not
//! begun, and code and manifest are not even fetched
//! (`tests/whole/audit.rs::each_line_is_copied_to_the_system_s_log_and_one_that_can_t_be_ends_the_run_before_the_code_is_fetched`).
//! Any account can send lines to a syslogd; the journal's own field `_UID` says whose they are. On macOS and Windows there is no such
//! copy in this version, and a run with the setting is refused there.
//!
//! # What is not proven
//!
//! The tests of memory, crash dumps and command lines run on Linux. On macOS debuggers are refused and core files
//! limited, on Windows the program is left out of crash reports; that these hold is not tested beyond that they can be
//! set. A real device and AWS itself have not been part of any test: their stand-ins are made after the vendor's documents.

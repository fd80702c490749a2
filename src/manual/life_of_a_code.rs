//! Every place that an unlock code passes in this program, and how long it stays there.
//!
//! # 1. From AWS: less than a second
//!
//! [`Cloud::fetch_pair`](crate::cloud::Cloud::fetch_pair) asks the Snowball API over https and for nothing else: plain
//! http is refused before anything is sent (`tests/cloud/network.rs::an_http_endpoint_is_refused_before_anything_is_sent`). The answer
//! passes through buffers of the TLS, HTTP and CBOR libraries. These free them unwiped; the program's allocator wipes
//! whatever is freed, and the connections are closed before the next step. The code goes into one
//! [`UnlockCode`](crate::model::UnlockCode): a block of memory that never moves, wiped when it is let go. It can't be
//! copied, printed or written to a file by mistake, since it has no such ability. With `--wait`, which may last for hours,
//! each look at AWS has a connection of its own.
//!
//! # 2. In the program's memory: until the client's profile is written
//!
//! Long enough to put it into the keychain, to compare it, to look for it where it must not be, and to wait for the device's
//! port. Nothing of it is left in this program's memory from the moment the client starts (`tests/leak/memory.rs::nothing_is_left_when_the_client_starts_with_a_keyring`),
//! while the device is polled (`tests/leak/memory.rs::nothing_is_left_while_the_device_is_polled`), when `fetch` ends
//! (`tests/leak/memory.rs::nothing_is_left_at_the_end_of_fetch`) and when a run ends
//! (`tests/leak/memory.rs::nothing_is_left_at_the_end_of_a_run`). These tests run on Linux.
//!
//! The guard (5.) holds one copy, in a page of its own, as long as the private folder is there
//! (`tests/leak/memory.rs::there_is_one_copy_while_a_question_stands`): it takes the code out of all that the client says
//! (`tests/device_behaviour/saying_no_code.rs::ten_spellings_of_the_code_stay_in_the_guard`).
//!
//! # 3. In the keychain: until `forget`
//!
//! [`Keychain::keep`](crate::keychain::Keychain::keep) stores it, reads it back and compares. The item has two lines: the code, and
//! the SHA-256 of the manifest that came with it, which is how a later run knows that the two belong together. Nothing that
//! comes of the code is stored outside the keychain
//! (`tests/whole/two_lines.rs::nothing_that_is_kept_on_disk_changes_with_the_code`). Versions before record format 2 stored a tag
//! made of it beside the manifest; such a pair is converted by the next run, offline, and its tag removed
//! (`tests/whole/two_lines.rs::a_pair_of_format_1_is_converted_offline_and_opens_the_device`).
//!
//! Before anything is fetched, the job's own item is stored without a code, and read back
//! ([`Keychain::prepare`](crate::keychain::Keychain::prepare)); if no code comes, it is removed again. One that an interrupted run
//! left is used or removed by the next `run` or `fetch` of the job, or removed by `forget`
//! (`tests/whole/forgetting.rs::an_item_without_a_code_that_an_interrupted_run_left_is_used_or_removed_by_the_next_command`). A keychain that isn't there
//! means that nothing is asked of AWS (`tests/whole/secret_service.rs::without_a_session_bus_nothing_is_asked_of_aws`). One that
//! keeps in clear is refused unless that is allowed
//! (`tests/whole/secret_service.rs::a_keyring_that_keeps_in_clear_is_refused_unless_allowed`), whatever the environment says
//! (`tests/keychain/main.rs::a_keyring_without_a_password_is_refused_whatever_the_environment_says`), and so is one of which that can't be
//! seen (`tests/keychain/main.rs::a_keyring_whose_file_is_not_found_is_refused_and_every_place_named`). `snow-onboard forget` removes all
//! items of the job (`tests/whole/two_lines.rs::of_a_right_and_a_wrong_item_the_right_one_opens_the_device_and_forget_leaves_none`).
//!
//! Keychains on Linux differ:
//!
//! - **GNOME Keyring** writes to the disk before it answers. How it keeps is seen by its file; where its environment can't be
//!   read, as on Ubuntu, by the file that changes when the item is stored
//!   (`tests/keychain/main.rs::a_daemon_whose_environment_can_t_be_read_is_judged_by_the_user_manager_s_and_by_the_file_that_changes`).
//! - **KeePassXC** asks before it gives a program an item that the program did not just make itself, and the run says that it
//!   waits for that (`tests/whole/desktop_keychains.rs::keepassxc_unanswered_ends_by_the_deadline_and_nothing_is_fetched`). It keeps
//!   old versions of an entry, and moves what is deleted to its recycle bin. `forget` therefore overwrites the code twelve times
//!   first, past the ten old versions that it keeps unless it is set to keep more
//!   (`tests/whole/desktop_keychains.rs::keepassxc_answered_does_all_that_there_is_to_do`), and says where the entry is. A backup of
//!   the database may still have it. Whether the database has a password can't be seen from outside; the run says so.
//! - **KWallet** writes to the disk about five seconds later. "Read back and compared" then says that the running KWallet has it,
//!   not that the disk has: a power cut in these seconds loses the code, not the manifest, and the next run fetches again. So it
//!   is asked to write at once, which it does unless it is set to ask a person for that
//!   (`tests/whole/desktop_keychains.rs::kwallet_does_all_that_there_is_to_do_and_has_it_on_the_disk`). It keeps the job id, not the
//!   code, in a file in clear. Whether the wallet has a password can't be seen from outside; the run says so.
//!
//! With `--keychain kernel` it is in the memory of the Linux kernel, until the next reboot at the latest. Every program of the
//! same user can read it there, in whichever session, and none of another user, not even one that was started in the session
//! with `sudo -u` (`tests/keychain/keyrings.rs::a_process_of_another_user_in_this_session_reads_no_code`). Such a program has the
//! session's keyring, so it can take the item out or put one of its own under the name; that one is neither read nor written
//! (`tests/keychain/keyrings.rs::an_item_of_another_user_is_neither_read_nor_written_nor_removed`). An item that others could read
//! is closed, and the run says so (`tests/keychain/keyrings.rs::a_code_that_others_could_read_is_closed_and_that_is_told`).
//!
//! With `--keychain none` this step is left out.
//!
//! # 4. Never beside the manifest
//!
//! Before a hand-over [`Separation::check`](crate::safety::separation::Separation::check) looks through the job's folder: exactly the expected files, none of
//! which contains the code (`src/safety/separation.rs::separation_is_granted_to_the_expected_files_only`). Without that proof there is no hand-over;
//! [`Session::open`](crate::device::Session::open) demands it.
//!
//! # 5. In one private folder: until the device is open
//!
//! The vendor's client takes a code either on its command line, which every program of the machine can read, or from a
//! profile file in its user's home. So the client gets a home of its own, that only this user can open, in memory where
//! the system has such a place. A second process of ours, the guard, owns it. **In this folder, and in no other place, the
//! code and the manifest's path stand side by side**: the vendor's file format wants it so. The manifest itself is
//! elsewhere. It is written when the device's port has answered, and client and manifest have been hashed once more
//! (`tests/device_behaviour/going_stale.rs::a_client_that_is_replaced_meanwhile_is_not_given_the_code`,
//! `tests/device_behaviour/going_stale.rs::a_manifest_that_changes_meanwhile_is_not_handed_over`). The folder goes
//!
//! - when the device is open (`tests/whole/first_start.rs::a_device_is_opened_and_the_code_is_nowhere`);
//! - when the run fails at any step (`tests/leak/files.rs::no_file_after_failure_at_any_step`);
//! - when the run is asked to stop, and within a second when it is killed
//!   (`tests/whole/sudden_death.rs::sigkill_while_the_device_unlocks_takes_client_and_home_along_within_a_second`, `tests/leak/files.rs::no_file_after_a_signal`);
//! - when this program and the guard are killed at once: the system hangs up on the client
//!   (`tests/device_behaviour/endings.rs::when_agent_and_guard_are_killed_at_once_the_system_ends_the_client`), and the folder goes with
//!   the next command, which on Linux also ends a client that ignored that
//!   (`tests/whole/sudden_death.rs::what_ignored_the_hang_up_goes_with_the_next_command`); on macOS such a client is not ended;
//! - when the time of the hand-over is over, even if nobody reads what the program says
//!   (`tests/leak/files.rs::a_reader_that_does_not_read_keeps_no_file_lying`) or it was stopped
//!   (`src/device/guard/process.rs::a_guard_ends_by_itself_when_its_time_is_over`);
//! - after a power cut, with the next command (`tests/leak/files.rs::the_next_command_takes_what_a_power_cut_left`), also one
//!   from other surroundings
//!   (`tests/leak/files.rs::the_next_command_takes_it_from_a_place_that_its_own_environment_does_not_name`).
//!
//! What lies in memory is overwritten first (`tests/leak/files.rs::what_lay_in_memory_is_overwritten_before_it_is_removed`). On a disk an
//! overwritten file may survive in places that the file system does not tell of; disk encryption is what protects there.
//!
//! # 6. In the vendor's client: while it runs
//!
//! The client reads its profile and sends the code to the device. What it holds in its own memory is not ours to
//! promise. Its command line and its environment hold no code, and neither do those of any other process
//! (`tests/leak/command_lines.rs::no_process_of_the_machine_shows_it`, `tests/leak/command_lines.rs::no_program_is_started_with_it`).
//!
//! A client that takes the code in no private way is given it on the command line only with `--allow-argv` or after a yes
//! at the terminal. The output and the record then say for how many seconds it stood there
//! (`tests/device_behaviour/handing_over.rs::the_command_line_is_used_by_leave_alone_and_its_time_is_told`).
//!
//! # The device's own secret key
//!
//! An open device has access keys of its own. `snow-onboard credentials` reads the secret of one through a session with the
//! client, where the guard alone sees what the client says, and stores it in the keychain beside the code
//! (`tests/whole/credentials.rs::the_device_is_asked_once_and_the_keychain_from_then_on`). It leaves the keychain for the stdout of
//! that command and for nothing else: not for a file (`tests/leak/secret_key.rs::it_is_in_no_file`), a message or the log
//! (`tests/leak/secret_key.rs::it_is_said_once_and_on_stdout_alone`), also where the client fails after it said it
//! (`tests/whole/credentials.rs::a_client_that_fails_after_it_said_the_secret_makes_it_known_to_nobody`), nor for an argument list
//! or an environment (`tests/leak/secret_key.rs::no_process_of_the_machine_shows_it`). `forget` removes it with the code. Which
//! access keys there are, the record says; their ids are no secret. The audit log has a line for each time a secret was read from
//! the device, and none for those when it came from the keychain.
//!
//! # Nowhere: logs, messages, records
//!
//! Whatever leaves this program as text goes through one writer ([`Redacting`](crate::safety::redact::Redacting)): messages, JSON lines, and
//! [the log](crate::safety::log). It replaces whatever is shaped like a code, also when it is cut into pieces
//! (`src/safety/redact/writer.rs::however_it_is_cut_no_secret_gets_through_and_nothing_else_is_lost`), what signs a presigned URL
//! (`src/safety/redact/mod.rs::signing_parameters_keep_their_names_alone`), and the AWS keys of this run
//! (`src/safety/redact/known.rs::what_is_registered_is_taken_out`). What the vendor's client says passes its guard first, which knows
//! the code and takes it out in other spellings as well: spaced out, in capital letters, as hex, in base64
//! (`src/device/guard/redaction.rs::a_code_in_many_spellings_does_not_come_out`).
//! It holds with everything turned on that makes libraries talk
//! (`tests/whole/logs.rs::the_most_talkative_run_tells_what_was_done_and_no_secret`) and with a client that says the code aloud
//! (`tests/whole/logs.rs::a_client_that_says_the_code_is_quoted_without_it`).

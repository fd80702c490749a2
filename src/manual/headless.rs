//! Use without a screen: over SSH or WinRM, in scheduled jobs, with sudo.
//!
//! What differs is the keychain. It belongs to a session in which a person signed in, and not every session has one. This
//! program never falls back to something weaker by itself: without a keychain it fetches nothing and says what can be
//! done (`tests/whole/secret_service.rs::without_a_session_bus_nothing_is_asked_of_aws`). It never waits for ever for a prompt that nobody sees:
//! after `--keychain-timeout` it ends (`tests/keychain/main.rs::a_service_that_never_answers_is_given_up_at_the_deadline`). A question is asked only on a
//! terminal; elsewhere its answer is no.
//!
//! # Linux over SSH
//!
//! A Secret Service (GNOME Keyring, KWallet, KeePassXC) runs in the desktop's session; a bare SSH login has none. Choose:
//!
//! - `--keychain kernel`: in the kernel's memory, until the next reboot at the latest, and as a rule until the login
//!   session ends. The session needs a keyring of its own, which PAM gives (`pam_keyinit`); without one nothing is left
//!   behind and it is refused (`tests/keychain/main.rs::a_session_without_a_keyring_of_its_own_is_refused_and_nothing_is_left_there`).
//!   So is one that other users may search or change
//!   (`tests/keychain/keyrings.rs::a_session_keyring_that_others_may_use_is_refused_also_if_it_is_opened_meanwhile`).
//! - `--keychain none`: nothing is kept. The device is opened, and after a power cut AWS is asked again
//!   (`tests/whole/first_start.rs::a_device_is_opened_and_the_code_is_nowhere`).
//!
//! # Windows over WinRM or SSH
//!
//! A session that came over the network has no access to the Credential Manager: Windows gives it to interactive and to
//! scheduled sign-ins that have a password. Use `--keychain none`, or a scheduled task that runs with the user's
//! password. *This is Windows' documented behaviour; it is not among our tests.*
//!
//! # macOS over SSH
//!
//! The login keychain of a session over SSH is locked, and macOS shows its prompt on the screen of the machine. Unlock it
//! in the same session with `security unlock-keychain`, or use `--keychain none`. *Not among our tests.*
//!
//! # CI and scheduled jobs
//!
//! - `--keychain none`, `--json`, and `--handoff private` so that nothing is ever put on a command line.
//! - Decide by the exit code; every failure has one of its own kind, and `"code"` in the JSON names it exactly.
//! - `--log-file FILE` writes a log with all details, to a file that only this user can read
//!   (`src/safety/log.rs::the_file_is_private_and_appended_to`). Neither it nor `-vv` holds a secret, whatever `RUST_LOG` says
//!   (`tests/whole/logs.rs::the_most_talkative_run_tells_what_was_done_and_no_secret`).
//! - `--wait` and `--wait-device` let a job be started before its device has arrived
//!   (`tests/whole/waiting.rs::a_job_on_its_way_is_waited_for_and_its_device_opened`).
//! - Where nobody can be asked, a private folder for which there is no room in memory is a failure; `--private-home disk` lets
//!   it lie on a disk, for machines whose disk is encrypted
//!   (`tests/device_behaviour/endings.rs::a_home_goes_to_a_disk_for_want_of_memory_only_if_that_is_agreed_to`).
//! - Each wait has a limit: `--network-timeout`, `--keychain-timeout`, `--unlock-timeout`, `--wait-timeout`
//!   (`tests/whole/first_start.rs::a_device_that_does_not_open_in_time_has_an_exit_code_of_its_own`).
//!
//! # sudo
//!
//! Don't: nothing here needs root. The keychain of root is another one, or none, and `sudo -E` keeps variables that
//! lead into the home of another user. A state folder that another user owns or can open is refused
//! (`src/store/state_folder.rs::a_state_folder_that_others_can_open_is_refused`), and so is such a place for the private home
//! (`src/device/guard/home.rs::folders_that_will_not_do_are_refused_with_the_reason`).

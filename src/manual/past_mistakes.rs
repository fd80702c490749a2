//! What went wrong in the scripts, guides and programs of others, and which test keeps it from happening here.
//!
//! # With unlock codes and manifests
//!
//! Found in public scripts and guides for these devices.
//!
//! | mistake | here | test |
//! | --- | --- | --- |
//! | The code is typed or pasted: shell history, visible typing | There is no way to give it: it comes from AWS and goes to the keychain. Pasted by mistake it is not echoed | `tests/whole/refusals.rs::what_is_mistyped_is_refused_before_anything_is_asked` |
//! | The code on the client's command line, again at every poll | A private profile; the command line only by leave, its time told | `tests/leak/command_lines.rs::no_process_of_the_machine_shows_it`, `tests/leak/command_lines.rs::the_command_line_shows_it_where_that_was_allowed` |
//! | The code in a settings file, a script, an environment file, in version control | It is in no file | `tests/leak/files.rs::no_file_after_success` |
//! | Code and manifest in one folder, the vendor's own file included | A check before every hand-over | `src/safety/separation.rs::separation_is_granted_to_the_expected_files_only` |
//! | The manifest in a temporary or download folder that others read | A folder of its own, for its owner alone | `src/safety/path_trust/tests.rs::private_things_are_made_once_and_are_private` |
//! | `set -x`, echoed input, command lines in error texts, traced SDK answers | A type that can't be printed; one redacting writer; a ceiling over libraries | `src/model/secret.rs::debug_shows_neither_secret`, `src/safety/log.rs::others_stay_below_their_ceiling`, `tests/leak/output.rs::an_answer_that_can_t_be_decoded` |
//! | An error page saved as the manifest | Status, length, checksum and content are looked at; the file appears whole or not at all | `tests/whole/refusals.rs::bad_downloads_cost_nothing`, `src/store/job_folder.rs::a_manifest_appears_whole_or_not_at_all` |
//! | The presigned URL stored or logged | It lives in memory, for one download | `tests/whole/refusals.rs::bad_answers_of_the_api_cost_nothing`, `src/safety/redact/mod.rs::signing_parameters_keep_their_names_alone` |
//! | Nobody checks that device and job belong together | The device's id is the job's id, or nothing is asked of it | `tests/whole/first_start.rs::another_device_is_refused_before_it_is_touched` |
//! | A broken download begun anew, or given up at once | It goes on where it broke | `tests/cloud/download.rs::what_broke_off_goes_on_where_it_broke` |
//! | An endless poll, a fixed sleep, or no wait at all | A deadline and growing pauses | `tests/whole/first_start.rs::a_device_that_does_not_open_in_time_has_an_exit_code_of_its_own` |
//! | The exit status ignored, or 0 after a failure | Each kind of failure has its own | `tests/device_behaviour/states.rs::a_success_that_changes_nothing_ends_with_the_time` |
//! | After a power cut everything begins anew | The same command does it with what is kept, without internet | `tests/whole/secret_service.rs::a_second_run_asks_aws_nothing` |
//! | TLS verification turned off | There is no such switch | `tests/cloud/network.rs::certificates_are_taken_from_where_they_should_be` |
//! | All of the user's AWS credentials handed to the client | An allow-list of variables, none of AWS | `tests/device_behaviour/handing_over.rs::the_client_sees_an_allow_list_and_stands_nowhere` |
//!
//! # With keychains
//!
//! What users of other programs have reported most.
//!
//! | mistake | here | test |
//! | --- | --- | --- |
//! | A locked keychain hangs the program | Each call has a deadline, on a thread that nobody has to wait for | `tests/keychain/main.rs::a_service_that_never_answers_is_given_up_at_the_deadline` |
//! | A prompt that is taken for a hang, or given up after three seconds | Two minutes, said aloud, settable | `src/report/wait.rs::a_long_step_speaks_and_a_short_one_is_silent` |
//! | Silently kept in a plain file instead | Refused, before anything is fetched | `tests/whole/secret_service.rs::a_keyring_that_keeps_in_clear_is_refused_unless_allowed` |
//! | A store that says "done" and keeps nothing | The job's own item is stored, read back and compared before anything is fetched | `tests/keychain/main.rs::a_code_is_kept_where_other_programs_find_it` |
//! | The kernel's keyring taken for storage | Never by default; said to be gone at the next reboot | `tests/keychain/main.rs::the_kernel_keeps_a_code_for_its_session_alone` |
//! | A key in the kernel that is its possessor's, and so of every process in the session, `sudo -u` included | Its owner's alone, before the code is in it | `tests/keychain/keyrings.rs::a_process_of_another_user_in_this_session_reads_no_code` |
//! | A keyring made for the program alone, with a prompt that nobody sees | The default one, or none | `tests/keychain/main.rs::without_a_default_keyring_none_is_made` |
//! | Several prompts in a run | One | `tests/keychain/main.rs::a_locked_keyring_is_asked_for_once` |
//! | "Backend not available" | The cause is named, with what to do | `tests/keychain/buses.rs::without_a_service_or_a_bus_the_cause_is_said` |
//! | Two items of the same name: one is taken at random | The one that belongs to the manifest is, and it is said; none is lost | `tests/whole/two_lines.rs::of_a_right_and_a_wrong_item_the_right_one_opens_the_device_and_forget_leaves_none` |
//! | Whether a keyring has a password is judged where one's own environment leads | In every place that is possible; what can't be seen counts as in clear | `tests/keychain/main.rs::a_keyring_without_a_password_is_refused_also_if_the_daemon_s_environment_can_t_be_read` |
//! | A secret is handed to whatever answers on the session bus | A local socket of this user, and a service of this user | `tests/keychain/buses.rs::the_bus_of_another_user_is_refused` |
//! | The bus is looked for where another user can put a link | Not on a way that others can change | `tests/keychain/buses.rs::a_link_of_another_user_to_one_s_own_bus_is_not_followed` |
//! | Every call on a connection of its own, so that KeePassXC asks again and again | One connection | `tests/whole/desktop_keychains.rs::keepassxc_answered_does_all_that_there_is_to_do` |
//! | A hash of the secret beside what it protects | Nothing that comes of the code is outside the keychain | `tests/whole/two_lines.rs::nothing_that_is_kept_on_disk_changes_with_the_code` |
//! | Wiping what one holds leaves what the libraries have copied | An allocator that wipes what is freed; looked for from outside | `tests/leak/memory.rs::nothing_is_left_at_the_end_of_a_run` |
//!
//! # With AWS programs on laptops
//!
//! | mistake | here | test |
//! | --- | --- | --- |
//! | Seconds lost to a metadata service that no laptop has | It is not asked | `tests/cloud/credentials.rs::without_credentials_it_says_so_at_once_and_asks_no_metadata_service` |
//! | Proxy variables ignored | Honoured, malformed ones named | `tests/cloud/network.rs::api_and_bucket_are_reached_through_the_proxy_of_the_variables` |
//! | A private CA that can't be added | `--ca-bundle`, `AWS_CA_BUNDLE` | `tests/cloud/network.rs::certificates_are_taken_from_where_they_should_be` |
//! | "Expired" without the command that renews | The command, with its profile | `tests/cloud/credentials.rs::an_sso_sign_in_that_is_missing_or_over_names_the_command_that_renews_it` |
//! | A `credential_process` that asks at the terminal, or never ends, is left running | No shell, no input, a deadline, and an end with the agent's | `tests/cloud/process.rs::the_agent_s_end_is_its_end_whatever_that_was` |
//! | A role that wants a one-time code fails with "access denied" | The code is asked for, or what gets it is told | `tests/terminal/credentials.rs::a_one_time_code_is_asked_for_once_and_used_once` |
//! | The wrong profile wins | One named on the command line stands alone | `tests/cloud/credentials.rs::a_profile_named_by_flag_wins_over_the_environment_and_one_of_aws_profile_does_not` |

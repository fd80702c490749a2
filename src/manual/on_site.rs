//! For the operator: what is needed, what happens, and what to do afterwards.
//!
//! # What has to be reached
//!
//! | from this machine to | for |
//! | --- | --- |
//! | `snowball.REGION.amazonaws.com`, port 443 (in China `….amazonaws.com.cn`) | the job, its manifest's address, its code |
//! | `sts.REGION.amazonaws.com`, port 443 | assumed roles, and `doctor`, which asks whose credentials are in use |
//! | `portal.sso.REGION.amazonaws.com` and `oidc.REGION.amazonaws.com`, port 443 | only if the profile signs in with IAM Identity Center |
//! | `REGION.signin.aws.amazon.com`, port 443 | only if the profile was made by `aws login` |
//! | an S3 host of AWS, port 443: AWS answers with its full name; `awsie-frosty-manifests-prod.s3.amazonaws.com` and the same with a region have been seen | the manifest |
//! | the device's address, port 9091 | the client, and a look whether anything answers |
//!
//! All but the last go through `HTTPS_PROXY` where it is set. The device never does: it is in the same network. Once a
//! pair is stored, only the device is needed (`tests/whole/secret_service.rs::a_second_run_asks_aws_nothing`).
//!
//! # Which terminal
//!
//! Use the terminal of the desktop in which you signed in. Then the keychain is yours, and open.
//!
//! - **SSH, WinRM**: there is often no keychain. The chapter on use without a screen says what to choose.
//! - **A snap's or Flatpak's terminal** (that of an editor, for example): it may lead to other folders, and may not let programs
//!   at the keychain. The message says so; use the desktop's own terminal.
//! - **sudo**: not needed and not useful. Root has another keychain.
//! - **WSL**: it has no keychain of its own and not that of Windows. Use `--keychain kernel`, or the Windows program.
//!
//! # Which keychain
//!
//! | system | keychain | tried |
//! | --- | --- | --- |
//! | Linux, GNOME and Ubuntu | GNOME Keyring, the default keyring with a password | yes |
//! | Linux, KDE Plasma 5 | KWallet | yes, on a screen of a test's own |
//! | Linux, any desktop | KeePassXC 2.7 with its Secret Service turned on | yes, on a screen of a test's own |
//! | Linux without a desktop | the kernel's keyring (`--keychain kernel`) | yes |
//! | Windows | Credential Manager, not roaming | under wine only |
//! | macOS | the login keychain | no |
//!
//! # How the client gets the code
//!
//! The setting `handoff` decides, on the command line, in a variable or in a file:
//!
//! | value | meaning |
//! | --- | --- |
//! | `private` | Never on the client's command line. If the client takes the code in no other way, the run ends with exit code 12 |
//! | `auto` | In private; only if that fails, and somebody is there to ask, you are asked whether the command line may be used |
//! | `argv` | In private; if that fails, on the command line, without a question |
//!
//! In private means: in a file of the vendor's own format, in a folder that only you can open and that is gone when the device
//! is open. In each case the record says what was used
//! (`tests/device_behaviour/handing_over.rs::the_command_line_is_used_by_leave_alone_and_its_time_is_told`).
//!
//! # Several devices
//!
//! Write a plan, a CSV table (`job,address,label`, the label if you like) or TOML (a table `[[device]]` each with the same keys), and run
//! `snow-onboard run --plan FILE`; `-` reads it from stdin, and `--json` tells each step as a line. Or answer `snow-onboard run --all`, which
//! asks AWS for the delivered jobs and you for the address of each, and shows the plan for the next time.
//!
//! A cluster is one line: its id, or the job of one of its nodes, and the addresses of all nodes in the one value `address`, with spaces or
//! semicolons between; in TOML they may be a list. It is opened beside the others and fails by itself
//! (`tests/whole/cluster_plans.rs::a_cluster_is_a_line_beside_others_and_a_second_run_does_only_what_is_missing`). No address stands twice in
//! a plan, and no node beside its cluster.
//!
//! 1. A plan is checked whole: with one flaw nothing is done, and the line is named as an editor counts it
//!    (`tests/whole/plans.rs::a_plan_with_a_flaw_is_refused_whole_before_anything_is_asked`). A quote that is not closed is such a flaw,
//!    and so is a label of several lines, a value in a column without a name, and whatever looks like an unlock code, also with blanks
//!    in it. The first line may be `sep=;`, as Excel has it; a line that begins with `#` is a comment; job ids may stand in capital letters.
//!    Two names of one device are not seen to be one: names are looked up when their turn comes.
//!    Where an address was another job's device when it was opened last, both lines are told, as a warning
//!    (`tests/whole/plans.rs::lines_that_may_be_swapped_are_told_before_anything_is_done`).
//! 2. Pairs that are not stored yet are fetched, one after the other, with one sign-in. The keychain is opened once, and asks once
//!    (`tests/whole/plans.rs::a_keychain_that_nobody_unlocks_is_asked_for_once`); KeePassXC may ask for each item.
//! 3. The devices are unlocked, at most `parallel` at a time. What goes wrong with one is told with its label, and keeps no other. The exit
//!    code is that of the first that failed, in the order of the plan.
//! 4. The same command does what is missing, however the one before ended
//!    (`tests/whole/plans.rs::a_run_that_is_killed_in_the_middle_is_finished_by_the_next`).
//!
//! # After UNLOCKED
//!
//! 1. The device is open until it loses power or is restarted. Then it is locked again: `snow-onboard unlock JID…`, or
//!    `snow-onboard unlock --all`. It works offline as long as the code is stored, and at the address of the last time
//!    (`tests/whole/unlocking.rs::a_power_cut_is_over_without_aws_at_the_address_of_the_last_time`).
//! 2. See how things stand: `snow-onboard status` tells of each stored job whether its code and manifest are whole, and what its
//!    device says; `snow-onboard status --offline` starts no client and contacts no device; `snow-onboard status --watch` waits until every device
//!    is open. The code is never put on a command line for a look
//!    (`tests/whole/status.rs::the_command_line_is_never_used_for_a_look`).
//! 3. Use the device as AWS describes: its S3 adapter, its NFS share, its instances. For the commands of the vendor's client use
//!    `snow-onboard client JID… -- COMMAND`: it gives the client code and manifest for that one command, in the private folder. Beware of
//!    `snowballEdge configure`: it stores the code and the path of the manifest in one file in clear. The next run tells you if
//!    it finds the code there, with the command that takes it out.
//! 4. For its S3 adapter give the AWS CLI and other tools the device's own access key without a copy in a file:
//!    `snow-onboard setup-profile JID…` writes a profile into `~/.aws/config`, after it has shown the lines. The profile has
//!    `snow-onboard credentials JID…` as its `credential_process`, an address of the device for each of its services and for all
//!    others, so that no request goes to AWS, and the device's certificates
//!    (`tests/aws_profile/main.rs::the_aws_cli_lists_and_copies_and_asks_nobody_but_the_device`). Every other byte of the file stays,
//!    and `--remove` takes the lines out again
//!    (`tests/whole/setup_profile.rs::a_profile_is_shown_written_and_taken_out_to_the_last_byte`).
//!    The first call of `credentials` reads the key from the open device and stores it in the keychain. Later calls need neither the
//!    device nor its client nor AWS credentials, and may be many at once
//!    (`tests/whole/credentials.rs::twenty_at_once_all_get_the_key_and_the_device_is_asked_by_one`). On a terminal it shows nothing.
//!    When the device has another address, run `setup-profile` again, with `--endpoint`. What a profile can't say:
//!
//!    | where | do |
//!    | --- | --- |
//!    | a proxy is set (`HTTPS_PROXY`) | name the device's addresses in `NO_PROXY`; the command prints the line |
//!    | `AWS_CA_BUNDLE` or `AWS_ENDPOINT_URL` is set | unset it: it goes before the profile |
//!    | the AWS CLI is older than 1.29 or 2.13 | add `--endpoint`; the command prints the line |
//!    | rclone before 1.68, and other programs with version 1 of the AWS SDK for Go | they take no profile with `ca_bundle`: give them a copy of the profile without that line, and the certificates by their own flag (`--ca-cert`) |
//!    | EKS Anywhere | `--eksa FILE` writes the two files that it wants; the first has the device's secret key in clear |
//! 5. Before you return the device, file what was done: `snow-onboard receipt JID… --html receipt.html`. The page prints well and
//!    has no secret (`tests/whole/receipt.rs::it_says_what_was_done_when_by_whom_and_with_what_and_no_secret`). After step 6 it says
//!    only what the audit log has.
//! 6. Then remove what is stored here: `snow-onboard forget JID…`. `snow-onboard forget --returned` does so with every job of which
//!    AWS says that its device has left, `snow-onboard forget --expired` with those that are older than 360 days. At a terminal it
//!    shows what it removes and asks once, unless `--yes` is given (`tests/terminal/run.rs::to_forget_is_asked_for_once_with_the_jobs_and_a_no_removes_nothing`).
//! 7. To have it removed without being asked, set `keep`, which an administrator can lock. `days:30` removes code and manifest at
//!    the first command after 30 days that unlocks no device (`tests/whole/keep.rs::days_are_counted_from_the_fetch_and_a_run_at_work_is_left_alone`).
//!    `until-unlocked` removes them as soon as the device is unlocked: after a power cut it can then be unlocked only with internet
//!    and an AWS sign-in (`tests/whole/keep.rs::until_unlocked_removes_both_halves_after_the_device_is_open_and_says_so_before`).
//!    That AWS releases a pair for 360 days is told when they are nearly over, and removes nothing by itself.
//!
//! # Clusters
//!
//! The nodes of a cluster share one code and one manifest. They are stored once, under the cluster's id (`CID…`).
//!
//! 1. Rack, cable and start all nodes. Read the address off each display.
//! 2. Run `snow-onboard run CID… --endpoint A --node B --node C`, with one address for each node. The job of any node may stand for
//!    the cluster. On a terminal the addresses are asked for, one by one.
//! 3. AWS is asked for the pair of one delivered node. The code of each other released node is compared with it, in memory, and is
//!    not stored. That all nodes answer with the same code is documented for the cluster and not for each job: if one differs,
//!    nothing is stored (`tests/whole/clusters.rs::codes_that_differ_are_an_error_and_one_node_s_may_be_taken_on_its_word`). Then ask
//!    AWS Support, or name the node to trust with `--pair-of JID…`.
//! 4. The client's `unlock-cluster` is sent once, with all addresses. Each node is reported until it is UNLOCKED, ASSOCIATED and
//!    REACHABLE. A `DeviceId` that is no job of the cluster ends the run before anything is unlocked
//!    (`tests/whole/clusters.rs::a_device_of_nobody_s_cluster_is_not_unlocked`).
//!
//! | a node | what happens |
//! | --- | --- |
//! | is slow | It is waited for, for `--unlock-timeout`; with `--wait-device`, for `--wait-timeout` |
//! | does not answer | It is named. If more than half answer when that time is over, they are unlocked, and the run ends with exit code 14 and names the missing node. With `--without-missing` it goes on at once and ends with exit code 0 (`tests/whole/clusters.rs::a_missing_node_is_named_with_what_to_do_and_may_be_left_out`) |
//! | loses power in between | When it is back, it is associated again, once (`tests/whole/clusters.rs::a_node_that_loses_power_in_between_is_associated_again_when_it_is_back`) |
//! | is at a wrong address | It is named within seconds. A cluster whose nodes are all open needs no more: the run ends well and says so (`tests/whole/cluster_nodes.rs::an_open_cluster_needs_no_wrong_address_to_answer`) |
//! | was sent back, cancelled or replaced | By what AWS said last it is not expected. Where the others list it still, that is told, and nothing waits for it (`tests/whole/cluster_nodes.rs::a_node_that_was_sent_back_is_told_and_not_waited_for`) |
//! | is new | `run` looks it up at AWS. Without AWS the run ends and names the command that lists the nodes anew: `snow-onboard fetch --refresh CID…` (`tests/whole/cluster_nodes.rs::a_new_node_is_looked_up_by_run_and_elsewhere_the_hint_mends_it`) |
//! | lost power later | Switch it on, wait until it has started, up to 20 minutes, and run `snow-onboard unlock CID…` |
//!
//! Which node is where is told and remembered only as far as the nodes' own addresses tell it. Behind a translation of addresses (NAT),
//! and where several are reached at one host, no node has an address in the record; those that were given are remembered all the same
//! (`tests/whole/cluster_nodes.rs::behind_a_translation_no_address_is_told_of_a_node_and_those_that_were_given_are_remembered`).
//!
//! Commands for one device name the node by its job: `snow-onboard setup-profile JID…`, `snow-onboard client JID… -- ARGS…`. They go to the
//! address that is remembered of it, or to `--endpoint`, and the node's id is compared before the command is run
//! (`tests/whole/cluster_nodes.rs::a_command_for_one_device_reaches_the_node_that_is_named_or_none`). With the cluster's id `client` runs
//! `describe-cluster`, `unlock-cluster`, `associate-device`, `disassociate-device`, `help` and `version` at any node, and another command
//! only with `--endpoint`.
//!
//! This program never runs `disassociate-device` by itself, which can't be undone. How many nodes a cluster needs is not documented in detail;
//! "more than half" is this program's own rule.
//!
//! # Commands of the vendor's client
//!
//! `snow-onboard client JID… -- ARGS…` runs the client as if it had been started alone
//! (`tests/whole/client.rs::words_streams_folder_and_exit_code_are_those_of_the_client_alone`): the words are not changed, files land
//! in the current folder with your permissions, the exit code is the client's, a first Ctrl-C is the client's to answer. What is different:
//!
//! - The client's default profile, and the profile `snow-onboard`, are the job's code and manifest. Your own profiles are not seen.
//! - In what the client prints, eight or more characters of the code in a row become `[unlock code]`. Binary data to a file or a pipe is not
//!   looked at, nor are files that it writes: a support log may hold anything. The line that Java prints about `JAVA_TOOL_OPTIONS` is left out.
//! - On Windows input passes through this program, so some of what the client does not read is lost with it.
//! - The exit code 125 means that this program failed; the client's own codes are any others.
//! - A command line that holds an unlock code, or `--unlock-code`, is refused, and so is a client that takes the code in no private way.
//!   The audit log gets the name of the command and none of its options.
//!
//! # Taking the program off this machine
//!
//! 1. `snow-onboard forget --all`. It removes every code and every device's key from the keychain that is set, which removing the program would
//!    not, and all files of this program but the audit log
//!    (`tests/whole/forgetting.rs::of_all_jobs_only_the_audit_log_is_left_and_one_that_is_busy_keeps_no_other`). Codes and keys of jobs whose
//!    files are not in this state folder are found in the keychain and named; where nobody can be asked, they go with `--yes` alone
//!    (`tests/whole/forgetting.rs::a_code_and_a_device_key_without_files_are_found_named_and_removed`).
//! 2. Remove the state folder with `audit.jsonl`, unless your rules want it kept, and your settings file
//!    (`snow-onboard settings --path`).
//! 3. Remove the program in the way it was installed: `sudo apt purge snow-onboard`, `sudo dnf remove snow-onboard`, Windows' list of
//!    apps, or `cargo uninstall snow-onboard`.

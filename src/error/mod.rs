//! Everything that can go wrong, in one table: what happened, what to do, a string code and an exit code a variant.
//!
//! A sentence says what happened; a hint what to do next, as a command to paste where there is one. Texts from outside are sanitized before.

mod exit_code;
mod hint_rules;
mod report;
mod table;
#[cfg(test)]
mod tests;
mod why;

pub use exit_code::ExitCode;
pub(crate) use hint_rules::{GivenFlag, HintRules, LockedSetting, OtherKeychains};
pub use report::ErrorReport;
use report::PRIVATE_FOLDER_VARIABLE;
pub(crate) use report::longer_than;
use table::errors;
use why::ErrorField;
pub use why::Why;
pub(crate) use why::io_in_words;

use crate::model::JobState;

errors! {
    /// A combination of flags that makes no sense, found after parsing.
    Usage { why: String } = Usage "usage"
        "{why}"
        => "See the examples in:\n  snow-onboard --help";
    /// `what` is to be said instead, with its verb.
    NobodyToAsk { why: &'static str, what: &'static str, hint: String } = Usage "nobody_to_ask"
        "{why}, so {what} on the command line."
        => "{hint}";
    /// `example` are the first lines of a plan; `command` runs it.
    AddressesMissing { why: String, example: String, command: String } = Usage "addresses_missing"
        "{why}, and run --all needs the address of each device."
        => "Write the addresses into a plan that begins with these lines:\n{example}\nSave it, for example as pallet.csv, and run:\n  {command}";
    /// `hint` is the hint: the same without questions, as far as it is known by then.
    Cancelled { why: String, hint: String } = Usage "cancelled"
        "{why} Nothing was done."
        => "{hint}";
    ClientCommandMissing { job: String } = Usage "client_command_missing"
        "No command for the vendor's client was given."
        => "Put it, with its options, after two hyphens that stand alone:\n  snow-onboard client {job} -- describe-device\n  snow-onboard client {job} -- help";
    /// In a command of ours.
    CodeOnCommandLine = Usage "code_on_command_line"
        "The command line contains what looks like an unlock code. Nothing was done."
        => "This program fetches the code and gives it to the client privately. Remove this line from the history of your shell. Then repeat the command without the code.";
    /// In a command for the client.
    CodeTyped { job: String } = Usage "code_typed"
        "The command for the vendor's client contains an unlock code, or an option for one. Nothing was run."
        => "This program gives the client the code privately. Repeat the command without it, or unlock the device:\n  snow-onboard unlock {job}\nThen remove that line from the history of your shell.";
    ClientConfigures { job: String } = Usage "client_configures"
        "The client's command “configure” asks for the unlock code and stores it unencrypted. Nothing was run."
        => "No configuration is needed. Every other command gets the code privately:\n  snow-onboard client {job} -- describe-device";
    JobIdInvalid { given: String, origin: String, why: String } = Usage "job_id_invalid"
        "The job id “{given}” ({origin}) {why}."
        => "A job id looks like JID123e4567-e89b-12d3-a456-426655440000. List yours with:\n  snow-onboard jobs";
    EndpointInvalid { given: String, origin: String, why: String } = Usage "endpoint_invalid"
        "The device address “{given}” ({origin}) {why}."
        => "Copy the IP address exactly as the device's display shows it:\n  --endpoint 192.0.2.10";
    /// `hint` is the hint: where the device was the last time, if that is known.
    EndpointMissing { hint: String } = Usage "endpoint_missing"
        "No device address was given."
        => "{hint}";
    EndpointUnknown { job: String } = Usage "endpoint_unknown"
        "This machine does not know the address of the device of {job}."
        => "Unlock the device with the IP address that its display shows, which stores the address:\n  snow-onboard unlock {job} --endpoint 192.0.2.10";
    AccessKeyIdInvalid { why: String } = Usage "access_key_id_invalid"
        "The value of --access-key-id {why}."
        => "An access key id looks like AKIAIOSFODNN7EXAMPLE. Leave --access-key-id out: if the device has several access keys, their ids are listed.";
    /// `ids` are commands to paste, a line each.
    AccessKeyAmbiguous { job: String, ids: String } = Usage "access_key_ambiguous"
        "The device of {job} has more than one access key, and this program does not choose between them."
        => "Name the one to use:\n{ids}";
    AccessKeyUnknown { job: String, ids: String } = Usage "access_key_unknown"
        "The device of {job} has no access key with the id that was given."
        => "Use one that it has:\n{ids}";
    KeyNotForTerminal { job: String } = Usage "key_not_for_terminal"
        "The output is the device's secret key, which a terminal would show and keep. Nothing was read."
        => "Let the AWS CLI run this command, by a profile for the device:\n  snow-onboard setup-profile {job}\nOr send the output to the program that needs it, with a pipe.";
    /// `what` begins the sentence: the address, or the name and what it leads to; `hint` is the hint.
    EndpointPublic { what: String, hint: String } = Usage "endpoint_public"
        "{what} is outside the local network. A device is on the local network."
        => "{hint}";
    EndpointExample { address: String } = Usage "endpoint_example"
        "The address {address} is an example from the documentation. No device has it."
        => "Give the IP address that the device's display shows, after --endpoint.";

    SettingInvalid { name: String, given: String, origin: String, why: String } = Settings "setting_invalid"
        "The value “{given}” of {name} ({origin}) {why}."
        => "Correct the value in {origin}, then repeat the command.";
    RegionOfDevice { origin: String } = Settings "region_of_device"
        "The region “snow” ({origin}) is the device itself. Jobs are in the AWS region in which they were ordered."
        => "Add the region in which the job was ordered:\n  --region eu-central-1";
    SettingUnknown { key: String, origin: String, hint: String } = Settings "setting_unknown"
        "There is no setting called “{key}” ({origin})."
        => "{hint}See all of them with:\n  snow-onboard settings --sample";
    /// `given` is the value as it was given: `--handoff auto`, `NAME=auto`, “auto” in a file; `remove` begins the hint.
    SettingLocked { name: String, given: String, remove: String, locked: String, lock: String } = Settings "setting_locked"
        "{name} is locked to “{locked}” on this machine ({lock}), so {given} can't be used."
        => "{remove}. To use another value, ask the administrator of this machine to change {lock}.";
    /// `whom` is who can mend it: nobody removes the administrator's locks to get on.
    SettingsFileUnreadable { path: String, why: Why, whom: &'static str } = Settings "settings_file_unreadable"
        "The settings file {path} can't be used: {why}."
        => "{whom} Then repeat the command.";
    CaFileBad { path: String, origin: String, why: Why } = Settings "ca_file_bad"
        "The CA file {path} ({origin}) can't be used: {why}."
        => "Name a PEM file that holds at least one CA certificate and that no other user can change:\n  --ca-bundle /path/to/ca.pem";

    CredentialsMissing { tried: String } = Credentials "credentials_missing"
        "No AWS credentials were found (looked in {tried})."
        => "Sign in, or name the profile to use:\n  aws configure sso\n  snow-onboard doctor --profile NAME";
    /// `hint` is the hint: the command that signs in, where there is one.
    CredentialsExpired { why: String, hint: String } = Credentials "credentials_expired"
        "The AWS sign-in is missing or has expired: {why}."
        => "{hint}";
    /// `hint` is the hint: how to come to a code, which depends on why there is none.
    MfaCodeNeeded { profile: String, why: String, hint: String } = Credentials "mfa_code_needed"
        "Profile “{profile}” asks for a one-time code (mfa_serial), and {why}."
        => "{hint}";
    CredentialsFailed { why: Why } = Credentials "credentials_failed"
        "AWS credentials could not be obtained: {why}."
        => "Check the profile in ~/.aws/config, or try another one:\n  snow-onboard doctor --profile NAME";
    /// `region` is a part of the hint, where the region may be the cause; `list` is the command that tells where they come from.
    CredentialsRefused { why: String, region: String, list: String } = Credentials "credentials_refused"
        "AWS does not accept these credentials: {why}."
        => "Check where the credentials come from, and replace them{region}:\n  {list}";
    /// `hint` is the hint: what would allow it, to paste into a policy, unless a policy forbids it.
    AccessDenied { action: String, why: String, hint: String } = Credentials "access_denied"
        "These credentials are not allowed to call {action}: {why}."
        => "{hint}";
    NotActivated { what: String, why: String } = Credentials "not_activated"
        "AWS has not activated {what} for this account: {why}."
        => "In the AWS console, complete the registration of the account, and enable the region (Account, AWS Regions). It can take up to 24 hours. Then repeat the same command.";
    ClockSkew { here: String, there: String } = Credentials "clock_skew"
        "AWS refused the request because its time differs too much from AWS's time: it is {here} on this machine{there}."
        => "Check the clock of this machine, and set it if it is wrong. Then repeat the command.";
    ClockOff { here: String, there: String } = Credentials "clock_off"
        "This machine's clock is wrong: it is {here} here and {there} at AWS, which refuses a difference of five minutes or more."
        => "Set the clock of this machine, then repeat the command.";
    RegionMissing = Credentials "region_missing"
        "No AWS region is set."
        => "Add the region in which the job was ordered:\n  --region eu-central-1";

    ApiNotHttps { url: String, origin: String } = Settings "api_not_https"
        "The Snowball API address {url} ({origin}) is not an https address. The unlock code would cross the network unencrypted."
        => "Correct the address in {origin}. It has to begin with https://.";
    StsNotHttps { url: String, origin: String } = Settings "sts_not_https"
        "The AWS STS address {url} ({origin}) is not an https address. It was not asked who you are."
        => "Correct the address in {origin}. It has to begin with https://.";
    ProxyBad { variable: &'static str, why: String } = Settings "proxy_bad"
        "The proxy settings can't be used: {variable} {why}."
        => "Correct {variable}, or unset it.";
    /// `hint` is the hint: of the network, or of the proxy that did not connect.
    ApiUnreachable { what: String, why: String, hint: String } = Network "api_unreachable"
        "{what} gave no answer: {why}."
        => "{hint}";
    /// `hint` is the hint: what is in use is not asked for.
    TlsUntrusted { what: String, why: String, hint: String } = Network "tls_untrusted"
        "The certificate of {what} is not trusted: {why}."
        => "{hint}";
    /// Trusted or not: no other CA helps against a date.
    TlsOutOfDate { what: String, why: String } = Network "tls_out_of_date"
        "The certificate of {what} is not valid today: {why}."
        => "Check the date and the clock of this machine. If they are right, tell the administrator of this network or of its proxy, whose certificate that is.";
    /// `through` is " through the proxy …", or nothing; `check` begins the hint then.
    ApiTimeout { what: String, through: String, seconds: u64, check: String, longer: String } = Network "api_timeout"
        "{what} did not answer{through} within {seconds} seconds."
        => "{check}Repeat the same command, with more time if the network is slow:\n  --network-timeout {longer}";
    ApiThrottled { what: String } = Network "api_throttled"
        "AWS limits how often {what} may be asked, and that limit is reached."
        => "Wait a minute, then repeat the same command. If it goes on, ask AWS Support for help with this.";
    ApiFailed { what: String, why: String } = Network "api_failed"
        "{what} failed at AWS: {why}."
        => "Wait a minute, then repeat the same command. AWS's state: https://health.aws.amazon.com";
    ApiRefused { what: String, why: String } = Answer "api_refused"
        "{what} was refused by AWS: {why}."
        => "If the text does not help, show it to AWS Support with the job id.";

    /// `asked_as` is " (asked as …)", or nothing if that can't be told.
    JobUnknown { job: String, region: String, asked_as: String } = Job "job_unknown"
        "These credentials cannot see a job {job} in region {region}{asked_as}."
        => "Check the id, the region and the account. The jobs you can see:\n  snow-onboard jobs";
    /// `was` is the state that a wait begins with, `state` the same in words, with the tracking number. `wait` is how to wait, or to
    /// wait longer.
    JobNotReady { job: String, was: JobState, state: String, wait: String } = Job "job_not_ready"
        "AWS has not released the code and manifest of {job} yet: the job {state}."
        => "AWS releases them when the job is “Delivered to you”. Show the state of the job:\n  snow-onboard jobs\n{wait}";
    JobTooLate { job: String, state: String } = Job "job_too_late"
        "AWS no longer releases the code and manifest of {job}: the job {state}."
        => "Check that this is the job of the device in front of you:\n  snow-onboard jobs\nIf it is, ask AWS Support for help with this, with the job id.";
    JobNotUsable { job: String, state: String } = Job "job_not_usable"
        "AWS does not release the code and manifest of {job}: the job {state}."
        => "Check that this is the job of the device in front of you:\n  snow-onboard jobs\nIf it is, ask AWS Support for help with this, with the job id.";
    /// `lines` are the commands, one for each part.
    JobIsMain { job: String, parts: String, lines: String } = Job "job_is_main"
        "{job} is the main job of a divided export and has no device of its own. Its parts: {parts}."
        => "Name the part that this device belongs to:\n{lines}";
    /// `others` is what is on its way instead, as sentences of their own; `hint` begins the hint.
    NoJobReady { others: String, hint: String } = Job "no_job_ready"
        "No job of this account and region has been delivered.{others}"
        => "{hint}See the state of each job:\n  snow-onboard jobs";
    /// `hint` are the commands to paste, one for each job.
    JobAmbiguous { jobs: String, hint: String } = Usage "job_ambiguous"
        "More than one job has been delivered: {jobs}."
        => "Name the job of the device in front of you:\n  {hint}";
    /// `hint` is the hint, which depends on whether there is a plan.
    PlanUnusable { path: String, why: Why, hint: &'static str } = Usage "plan_unusable"
        "The plan {path} can't be used, and nothing was done: {why}."
        => "{hint}";
    FetchSkipped { job: String } = Network "fetch_skipped"
        "The code and manifest of {job} were not fetched, because AWS could not be asked for those of another device."
        => "Correct what the first failure names. Then repeat the same command. It does only what is missing.";
    /// `named` is the cluster for a command, or an example.
    JobInCluster { job: String, cluster: String, named: String } = Job "job_in_cluster"
        "{job} is a node of the cluster {cluster}, whose nodes share one code and one manifest. Nothing was stored."
        => "Unlock all nodes together. Use the cluster's id and the address that each node's display shows:\n  snow-onboard run {named} --endpoint 192.0.2.10 --node 192.0.2.11 --node 192.0.2.12";
    ForgetsOneNode { node: String, cluster: String } = Usage "forgets_one_node"
        "{node} is a node of the cluster {cluster}, whose nodes share one code and one manifest. Nothing was removed."
        => "To remove code and manifest of the whole cluster:\n  snow-onboard forget {cluster}";
    /// `what` is the sentence; `command` the one to paste, from its verb on.
    /// `leave` begins the hint: where one address is to be left for each node.
    ClusterAddressesTooMany { cluster: String, count: usize, nodes: usize, leave: String } = Usage "cluster_addresses_too_many"
        "{count} addresses were given, and {cluster} has {nodes} nodes."
        => "{leave}. If the cluster has a new node, fetch code and manifest anew, which lists the nodes anew. Then repeat the same command:\n  snow-onboard fetch --refresh {cluster}";
    ClusterAddressesMissing { what: String, command: String } = Usage "cluster_addresses_missing"
        "{what}"
        => "Give the address that each node's display shows:\n  snow-onboard {command}";
    NodeAddressUnknown { node: String, cluster: String } = Usage "node_address_unknown"
        "The address of the node {node} is not known: none is stored as its own, and it answers at none that is stored of the cluster."
        => "Read the address off its display, and add it to the same command:\n  --endpoint 192.0.2.10";
    /// `lines` are the commands, one for each node.
    NodeMissing { cluster: String, command: String, lines: String } = Usage "node_missing"
        "`snowballEdge {command}` acts on one device, and {cluster} is a cluster."
        => "Name the node by its job, or add --endpoint and its address:\n{lines}";
    NotKept { job: String } = Job "not_kept"
        "This machine stores no code and no manifest for {job}."
        => "See what is stored here, and what AWS has:\n  snow-onboard status --offline\n  snow-onboard jobs";
    NothingToWatch = Job "nothing_to_watch"
        "No job is stored on this machine, so there is no device to watch."
        => "See what AWS has, and fetch a job's code and manifest:\n  snow-onboard jobs\n  snow-onboard fetch JID…";
    NothingToUnlock = Job "nothing_to_unlock"
        "No job is stored on this machine, so there is no device to unlock."
        => "See what AWS has, and unlock a device with a job of that:\n  snow-onboard jobs\n  snow-onboard run JID… --endpoint 192.0.2.10";
    /// `hint` is the hint: a command that fetches both, and leads on.
    PairNotKept { job: String, hint: String } = Job "pair_not_kept"
        "The code and the manifest of {job} are not both stored on this machine."
        => "{hint}";

    AnswerIncomplete { what: String, missing: String } = Answer "answer_incomplete"
        "{what} answered without {missing}."
        => "Repeat the command in a few minutes. If it fails again, show this to AWS Support with the job id.";
    AnswerMalformed { what: String } = Answer "answer_malformed"
        "{what} returned an answer that cannot be parsed."
        => "If a proxy is in use, check that it does not change AWS traffic. Otherwise repeat the command in a few minutes. If it fails again, show this to AWS Support with the job id.";
    AnswerTooLarge { what: String, limit: usize } = Answer "answer_too_large"
        "{what} answered with more than {limit} bytes, which no such answer has. It was discarded."
        => "If a proxy is in use, check that it does not change AWS traffic. Otherwise repeat the command in a few minutes. If it fails again, show this to AWS Support with the job id.";
    /// That all nodes have one code is documented; that each answers with it is not.
    ClusterCodesDiffer { cluster: String, one: String, other: String } = Answer "cluster_codes_differ"
        "AWS released different unlock codes for {one} and {other}, which are nodes of the cluster {cluster}. Both were discarded. Nothing was stored."
        => "Ask AWS Support for help with this, with the cluster's id. To use the code and manifest of one node without comparing, name its job:\n  snow-onboard run {cluster} --endpoint 192.0.2.10 --node 192.0.2.11 --pair-of {one}";
    CodeMalformed { length: usize } = Answer "code_malformed"
        "The Snowball API returned {length} characters, which are not an unlock code. They were discarded and not shown."
        => "Repeat the command. If it fails again, show this to AWS Support with the job id.";
    ManifestUrlBad { why: String } = Answer "manifest_url_bad"
        "The presigned URL of the manifest {why}. It was not used."
        => "Repeat the command. If it fails again, show this to AWS Support with the job id.";
    ManifestRefused { status: u16, why: String } = Answer "manifest_refused"
        "The manifest could not be downloaded: the bucket answered {status} ({why})."
        => "A presigned URL is valid for one hour. Repeat the same command to get a new one. If it fails again, check whether a proxy caches or changes the URL. Without a proxy, show this to AWS Support with the job id.";
    ManifestRedirected { host: String } = Answer "manifest_redirected"
        "The presigned URL of the manifest redirects to another host ({host}). The redirect was not followed."
        => "The network may require a sign-in (hotel or guest network). Open a browser and sign in, then repeat the same command. If this network requires no sign-in, check whether a proxy changes downloads. Without a proxy, show this to AWS Support with the job id.";
    ManifestCut { got: u64, expected: String } = Network "manifest_cut"
        "The download of the manifest was interrupted after {got} of {expected} bytes."
        => "Repeat the same command, from a better connection if there is one. If it fails again, ask the administrator of this network for help with this.";
    ManifestSlow { got: u64, expected: String, seconds: u64, longer: String } = Network "manifest_slow"
        "The download of the manifest is too slow: {got} of {expected} bytes, and almost none in the last {seconds} seconds."
        => "Repeat the same command with more time, or from a better connection:\n  --network-timeout {longer}";
    ManifestDamaged { why: String } = Answer "manifest_damaged"
        "The downloaded manifest is damaged: {why}."
        => "Repeat the same command. If it fails again, check whether a proxy changes downloads. Without a proxy, show this to AWS Support with the job id.";
    /// `more` is a limit above the one in effect.
    ManifestTooLarge { limit: u64, more: u64 } = Answer "manifest_too_large"
        "The manifest is larger than the limit of {limit} bytes. It was discarded."
        => "If you trust the source, raise the limit:\n  --manifest-limit {more}";
    NotAManifest { why: String } = Answer "not_a_manifest"
        "The downloaded file is not a manifest: {why}. It was discarded."
        => "The network may require a sign-in (hotel or guest network). Open a browser and sign in, then repeat the same command. If this network requires no sign-in, check whether a proxy changes downloads. Without a proxy, show this to AWS Support with the job id.";

    KeychainUnavailable { which: String, why: String } = Keychain "keychain_unavailable"
        "{which} can't be used: {why}."
        => "Run the same command in a desktop session in which a keychain runs (GNOME Keyring, KWallet, or KeePassXC with its Secret Service integration switched on). Or store the code in kernel memory (until reboot at the latest, often only until logout), or do not store it:\n  --keychain kernel\n  --keychain none";
    KeychainBlocked { why: String } = Keychain "keychain_blocked"
        "This program is not allowed to use the Secret Service: {why}."
        => "Run the same command in a terminal that is in no sandbox. A terminal inside an editor that was installed as a snap or Flatpak is in one. If that fails too, ask the administrator to allow this program to talk to org.freedesktop.secrets on the D-Bus session bus. Or store the code in kernel memory (until reboot at the latest, often only until logout), or do not store it:\n  --keychain kernel\n  --keychain none";
    /// What to do depends on whose bus or service it is, so the sentence has it all.
    KeychainNotYours { why: String } = Keychain "keychain_not_yours"
        "The keychain on this D-Bus session bus is not used: {why}."
        => "Run the same command in your own session, without sudo or su, and with the DBUS_SESSION_BUS_ADDRESS that your desktop set (or none). Or store the code in kernel memory (until reboot at the latest, often only until logout), or do not store it:\n  --keychain kernel\n  --keychain none";
    /// `hint` is the hint, in the words of the keychain's own app.
    KeychainNoCollection { which: String, why: String, hint: String } = Keychain "keychain_no_collection"
        "{which} has no default keyring to keep the code in: {why}."
        => "{hint}";
    /// `which` is the keychain, or the item in it that this program was not let at; `hint` is the hint, in the words of the
    /// keychain's own app.
    KeychainLocked { which: String, hint: String } = Keychain "keychain_locked"
        "{which} is locked, and its prompt was dismissed or could not be shown."
        => "{hint}, then repeat the same command.";
    /// `what_failed` is what did not happen: that it answered, was unlocked, or allowed access.
    KeychainTimeout { what_failed: String, what: String, seconds: u64, longer: String } = Keychain "keychain_timeout"
        "{what_failed} within {seconds} seconds ({what})."
        => "Answer the keychain's prompt, which may be behind other windows, then repeat the same command. If there is no prompt, log out and in again, which restarts the keychain (and ends what is stored in the kernel keyring). To allow more time:\n  --keychain-timeout {longer}";
    /// `hint` is the first half of the hint, in the words of the keychain's own app.
    KeychainInClear { which: String, place: String, hint: String } = Keychain "keychain_in_clear"
        "{which} has no password, so it stores codes unencrypted in {place}."
        => "{hint}, or accept it with:\n  --allow-plain-keyring";
    KeychainUnseen { which: String, why: String } = Keychain "keychain_unseen"
        "This program could not determine whether {which} is encrypted: {why}."
        => "Run the same command in the session in which the keychain runs, with the same HOME and XDG_DATA_HOME. If you know that it is encrypted, or accept that it may not be:\n  --allow-plain-keyring";
    KeychainNotStored { which: String, why: String } = Keychain "keychain_keeps_nothing"
        "{which} accepted an item but did not store it correctly: {why}."
        => "Do not store the code on this machine:\n  --keychain none";
    KeychainAmbiguous { job: String, count: usize } = Keychain "keychain_ambiguous"
        "The keychain holds {count} codes for {job}, and this program cannot tell which of them, if any, belongs to the stored manifest."
        => "Fetch a new pair:\n  snow-onboard fetch --refresh {job}";
    KeychainFailed { which: String, what: String, why: String } = Keychain "keychain_failed"
        "{which} failed while {what}: {why}."
        => "Open the keychain's own app to see whether it works, then repeat the same command.";
    /// Where the default collection is another one than when the code was stored. `places` are the others.
    KeychainElsewhere { job: String, which: String, places: String } = Keychain "keychain_elsewhere"
        "The code of {job} is not in {which}, but an item for it is in {places}."
        => "Remove that item in the keychain's own app (search for “snow-onboard”), then repeat the same command.";
    /// `keychains` are those that were not searched, since another was named.
    CodeStays { job: String, keychains: String } = Keychain "code_stays"
        "A code of {job} is stored in the keychain {keychains}, which was not searched. The manifest and the record were kept with it."
        => "To remove everything:\n  snow-onboard forget {job}";
    /// `what` is why it is foreign; `hint` begins the hint, with the first letter of “fetch”; `beside` is where the new pair goes.
    KeychainForeignItem { job: String, what: String, hint: String, beside: &'static str } = Keychain "keychain_foreign_item"
        "The keychain's item for {job} {what}. It was left as it is."
        => "{hint}etch a new pair{beside}:\n  snow-onboard fetch --refresh {job}";
    KeychainUnsupported { which: String } = Usage "keychain_unsupported"
        "The keychain “{which}” does not exist on this system."
        => "Leave --keychain out to use the system's own.";
    /// `remains` is what a command that removes has left, as sentences of their own; `hint` is the hint.
    KernelKeyringClosed { why: String, remains: String, hint: &'static str } = Keychain "kernel_keyring_closed"
        "The kernel keyring can't be used: {why}.{remains}"
        => "{hint}";
    KernelKeyringFull = Keychain "kernel_keyring_full"
        "The kernel keyring is full: the keys of this user have reached the limit that the system sets."
        => "Remove what is not needed any more, then repeat the same command:\n  snow-onboard status --offline\n  snow-onboard forget JID…\nOr store the code in the system's keychain:\n  --keychain system\nOr ask the administrator to raise the limits of each user (sysctl): kernel.keys.maxbytes and kernel.keys.maxkeys. A new login does not help: the limits are the user's.";

    StateFolderBad { path: String, why: Why } = Disk "state_folder_bad"
        "The folder {path} can't be used: {why}."
        => "Use another folder that only you can write to:\n  --state-dir PATH";
    /// `hint` begins the hint where the system has a command for it.
    StateFolderOfAnother { path: String, owner: String, hint: String } = Disk "state_folder_of_another"
        "The folder {path} belongs to {owner}, not to you. It was not touched."
        => "{hint}Name another folder:\n  --state-dir PATH";
    /// For whatever needed one more file, connection or process.
    TooManyFiles { what: String } = Disk "too_many_files"
        "This session may not open as many files as this program needs: {what}."
        => "Open a new terminal and repeat the same command there. If it fails again, ask the administrator to raise the limit of open files (ulimit -n) to 1024.";
    /// A limit of processes or of memory, or a filter of system calls.
    SystemRefused { what: String } = Disk "system_refused"
        "The system did not allow what this program needs: {what}."
        => "Open a new terminal and repeat the same command there. If it fails again, show this message to the administrator of this machine.";
    RunAsAnother { path: String, owner: String } = Disk "run_as_another"
        "This program runs as root, but {path} belongs to {owner}. Nothing was made there."
        => "Run the same command as {owner}, without sudo.";
    StateFolderNoLocks { path: String, why: Why } = Disk "state_folder_no_locks"
        "A file in {path} can't be locked: {why}. Network drives often have no locks."
        => "Name a folder on a disk of this machine:\n  --state-dir PATH";
    Disk { what: String, path: String, why: Why } = Disk "disk"
        "{what} {path} failed: {why}."
        => "Correct the cause, then repeat the same command.";
    OutputLost { why: String } = Disk "output_lost"
        "Writing to the standard output failed: {why}."
        => "Free some space there or write to another place, then repeat the same command.";
    ForeignFile { path: String } = Disk "foreign_file"
        "The manifest's folder holds something that is not this program's: {path}."
        => "Move it elsewhere, then repeat the same command. Nothing was removed.";
    FileAliased { path: String, flaw: String } = Disk "file_aliased"
        "{path} {flaw}. This program does not create such files. It was not changed."
        => "Find out who created it. Move it to another folder, then repeat the same command.";
    RecordUnreadable { job: String, path: String, why: Why } = Disk "record_unreadable"
        "The record {path} can't be read: {why}."
        => "Fetch a new pair, which also writes a new record:\n  snow-onboard fetch --refresh {job}";
    RecordNewer { path: String, version: u32 } = Disk "record_newer"
        "The record {path} was written by a newer snow-onboard (format {version})."
        => "Install the newer version of snow-onboard on this machine, then repeat the same command.";
    FileExists { path: String } = Usage "file_exists"
        "The file {path} exists. It was not changed."
        => "Name another file, or add --force to replace this one.";
    /// `hint` names those that there are.
    ProfileNotThere { job: String, name: String, hint: String } = Usage "profile_not_there"
        "No profile “{name}” that this program wrote for {job} was found. Nothing was removed."
        => "{hint}";
    ReceiptEmpty { job: String } = Job "receipt_empty"
        "This machine knows nothing of {job}: it has no record of it, and no line in the audit log."
        => "Run the command on the machine from which the device was unlocked. The jobs that are known here:\n  snow-onboard audit show";
    AuditEmpty { job: String } = Job "audit_empty"
        "The audit log of this machine has no line about {job}."
        => "See which jobs it knows:\n  snow-onboard audit show";
    /// `flaws` are sentences of their own.
    AuditAltered { path: String, flaws: String } = Disk "audit_altered"
        "The audit log {path} is not as it was written: {flaws}."
        => "Keep a copy of the file, and tell your security officer. To find what is missing, compare it with the receipts that were filed, and with the system's log if audit_copy is on.";
    AuditBusy { path: String, seconds: u64 } = Busy "audit_busy"
        "Another process has locked the audit log {path} for {seconds} seconds."
        => "Wait until that process has finished, then repeat the same command.";
    AuditNotCopied { why: String } = Disk "audit_not_copied"
        "The audit log can't be copied to the system's log, which the setting audit_copy asks for: {why}."
        => "Start the system's log service, then repeat the same command. To see whether it runs:\n  systemctl status systemd-journald";
    AuditCopyUnsupported = Settings "audit_copy_unsupported"
        "The audit log can't be copied to this system's log: this version can do that on Linux only."
        => "Set audit_copy to none, where it is set:\n  snow-onboard settings";
    /// `jobs` are those that another process stored while this one asked or removed.
    StoredMeanwhile { jobs: String } = Busy "stored_meanwhile"
        "Another process stored {jobs} while this command was at work. That was not removed."
        => "To remove it too, repeat the same command.";
    Busy { job: String, pid: String } = Busy "busy"
        "Another snow-onboard process ({pid}) is working on {job}."
        => "Wait until that process has finished, then repeat the same command.";

    PairMismatch { job: String, why: String } = Pair "pair_mismatch"
        "The stored code and manifest of {job} do not match: {why}. Nothing was sent to the device."
        => "Fetch a new pair:\n  snow-onboard fetch --refresh {job}";
    /// The client's `configure` compares code and manifest with each other, and has no part for the device in it.
    PairRefused { job: String, said: String } = Pair "pair_refused"
        "The client refused the code and manifest of {job} twice, without contacting the device. It said: {said}"
        => "Waiting for the device does not help. Fetch a new pair, because the two may not belong together or one may be damaged:\n  snow-onboard fetch --refresh {job}\nThen repeat the same command. If the client refuses the new pair too, unpack the client anew from https://aws.amazon.com/snowball/resources. If that does not help, ask AWS Support for help with this, with the job id.";
    NotSeparate { job: String, what: String, path: String } = Pair "not_apart"
        "{what}: {path}. The run stopped before anything was handed over."
        => "Move that file to another folder. If it contains the unlock code, remove the code from it first. Then fetch a new pair, and repeat the same command:\n  snow-onboard fetch --refresh {job}";

    ClientMissing { looked: String } = Client "client_missing"
        "The Snowball Edge client (snowballEdge) was not found ({looked})."
        => "Unpack it from https://aws.amazon.com/snowball/resources and name it:\n  --client /path/to/snowball-client-linux/bin/snowballEdge";
    /// `hint` is the hint, which depends on what is wrong and on the system.
    ClientUnsafe { path: String, why: String, hint: String } = Client "client_unsafe"
        "The client is not safe to use: {path} {why}."
        => "{hint}";
    /// It was not started, or ended without doing anything. `hint` is the hint: what mends that.
    ClientUnusable { path: String, why: String, hint: String } = Client "client_unusable"
        "The client {path} does not run: {why}."
        => "{hint}";
    /// It ran. `hint` is the hint, which depends on what is unknown of it.
    ClientUnknown { path: String, what: String, said: String, hint: String } = Client "client_unknown"
        "This program does not know the client {path}: {what}. The client printed: {said}"
        => "{hint}";
    ClientTooOld { path: String, command: String } = Client "client_too_old"
        "The client {path} can't be used: its help lists commands, but not {command}. Nothing was fetched."
        => "Unpack the current one from https://aws.amazon.com/snowball/resources into a folder of its own and name it:\n  --client /path/to/snowball-client-linux/bin/snowballEdge";
    ClientNotPinned { path: String, expected: String, found: String } = Client "client_not_pinned"
        "The client {path} is not the pinned one: its SHA-256 is {found}, but client_sha256 is {expected}."
        => "Install the pinned version. If the pin is out of date, change it where client_sha256 is set, or ask the administrator who set it.";
    ClientNotWhole { path: String } = Client "client_not_whole"
        "The client {path} is not inside an unpacked Snowball Edge client package, so client_sha256 would cover only the launcher and not the program that it starts."
        => "Unpack the vendor's package into a folder of its own, and name the launcher in it:\n  --client /path/to/snowball-client-linux/bin/snowballEdge";
    ClientCommandsMissing { path: String, why: String } = Client "client_commands_missing"
        "The client {path} can be given the code neither privately nor on its command line: {why}."
        => "Check that it is the Snowball Edge client. The current one is at https://aws.amazon.com/snowball/resources; unpack it into a folder of its own and name it:\n  --client /path/to/snowball-client-linux/bin/snowballEdge";
    ClientChanged { path: String, how: String } = Client "client_changed"
        "The client {path} changed during this run: {how}. It was not given the code."
        => "If the change was intended, repeat the same command, which checks the new client. If you did not change it, unpack the client anew.";
    ClientHung { what: String, seconds: u64 } = Client "client_hung"
        "`snowballEdge {what}` did not finish within {seconds} seconds. This program stopped it."
        => "Repeat the same command. If it fails again, unpack the client anew from https://aws.amazon.com/snowball/resources and name it:\n  --client /path/to/snowball-client-linux/bin/snowballEdge";

    HandOverRefused { why: String } = HandOver "hand_over_refused"
        "The client can't be given the code privately: {why}."
        => "Try the current client. Unpack it from https://aws.amazon.com/snowball/resources into a folder of its own and name it:\n  --client /path/to/snowball-client-linux/bin/snowballEdge\nLess safe: put the code on the client's command line, where other programs on this machine can read it while the client runs:\n  --allow-argv";
    /// For the commands that never put the code on a command line, whatever `handoff` is.
    OnlyPrivate { why: String } = HandOver "only_private"
        "The client can't be given the code privately: {why}. This command never puts it on a command line."
        => "Try the current client. Unpack it from https://aws.amazon.com/snowball/resources into a folder of its own and name it:\n  --client /path/to/snowball-client-linux/bin/snowballEdge";
    ProfileLeaked { job: String, path: String, profile: String } = HandOver "profile_leaked"
        "During its configuration the client changed {path}, which it must not use. That file may now contain the unlock code unencrypted. The device was not asked to unlock."
        => "Remove that profile:\n  snow-onboard forget {job} --client-profile {profile}\nIf that fails, open the file in an editor and remove the code. Then use another version of the client, since this one does not use the folder that it is given. Unpack the current one from https://aws.amazon.com/snowball/resources and name it:\n  --client /path/to/snowball-client-linux/bin/snowballEdge";
    /// `missing` is the rest of the sentence: the profile, or the files.
    OwnProfileMissing { missing: String } = Usage "own_profile_missing"
        "Nothing was removed: {missing}."
        => "Check the name after --client-profile, and that you run it as the user who runs the client.";
    OwnProfileOfAnother { profile: String, of: String, job: String } = Usage "own_profile_of_another"
        "The profile “{profile}” of the client's own settings is for the job {of}, not for {job}. It was left as it is."
        => "If it is the one to remove, repeat the command with that job's id.";
    OwnProfilesUnreadable { path: String, why: Why } = Disk "own_profiles_unreadable"
        "The client's own settings {path} can't be read: {why}. They were left as they are."
        => "Open the file in an editor and remove the profile by hand.";
    ProfileNameTaken { job: String, name: String, path: String } = Usage "profile_name_taken"
        "There is already a profile “{name}” in {path}, and this program did not write it for {job}."
        => "Choose another name for the new one:\n  snow-onboard setup-profile {job} --name NAME";
    ProfileNotAsMeant { name: String, path: String, why: String } = Settings "profile_not_as_meant"
        "The profile “{name}” can't be written so that the AWS CLI reads it as it is meant: {why}."
        => "Look into {path} and the AWS CLI's credentials file for a section [DEFAULT] or one of that name, correct them, then repeat the same command.";
    /// `hint` is the hint: what can be done by hand.
    ProfileFileRefused { path: String, why: Why, hint: String } = Disk "profile_file_refused"
        "The file {path} was not changed: {why}."
        => "{hint}";
    ProfileFileRaced { path: String } = Disk "profile_file_raced"
        "Another program has changed {path} at the same time. The file was left as that program wrote it."
        => "Repeat the same command.";
    ProgramChangeable { path: String, why: String } = Disk "program_changeable"
        "The profile would have other programs run {path}, which somebody else can exchange: {why}."
        => "Install snow-onboard where only you or an administrator can change it, then repeat the same command.";

    PrivateHomeImpossible { why: String } = HandOver "private_home_impossible"
        "No private folder could be made for the client: {why}."
        => "Set {PRIVATE_FOLDER_VARIABLE} to a folder that belongs to you and that only you can write to.";
    PrivateHomeUnusable { path: String, why: String } = HandOver "private_home_unusable"
        "The private folder {path} can't be used with the client: {why}."
        => "Set {PRIVATE_FOLDER_VARIABLE} to a folder without quotes and line breaks in its path.";
    PrivateHomeOnDisk { folder: String, why: String } = HandOver "private_home_on_disk"
        "The private folder for the client can't be in memory: {why}. In {folder} it would be on a disk, which may keep the code after the folder is removed."
        => "Make room in memory, then repeat the same command. What is there now:\n  df -h /dev/shm\nIf that is not possible, ask the administrator of this machine for help with this.";
    GuardLost { why: String } = HandOver "guard_lost"
        "The guard process ended unexpectedly: {why}. The client was stopped and its private folder was removed."
        => "Repeat the same command. If it fails again, show this message to the administrator of this machine.";
    GuardNotStarted { why: String } = HandOver "guard_not_started"
        "The guard process for the client could not be started: {why}. Nothing was handed over."
        => "Repeat the same command. If it fails again, show this message to the administrator of this machine.";

    /// `endpoint` has the port that was tried.
    DeviceUnreachable { endpoint: String, port: u16, why: String } = Device "device_unreachable"
        "The device at {endpoint} can't be reached: {why}."
        => "A device takes 10 to 20 minutes to start. Check the address on its display, the cable, and that no VPN or firewall blocks port {port}. Then repeat the same command.";
    DeviceNameUnknown { name: String, why: String } = Device "device_name_unknown"
        "The device's name {name} can't be looked up: {why}."
        => "Check how it is written, or give the IP address from the device's display instead:\n  --endpoint 192.0.2.10";
    /// `hint` is the hint: it repeats what the device says only where that is a job id.
    DeviceIsAnother { expected: String, found: String, endpoint: String, hint: String } = Device "device_is_another"
        "The device at {endpoint} is not the device of {expected}: it reports {found}."
        => "{hint}";
    DeviceUnidentified { expected: String, endpoint: String } = Device "device_unidentified"
        "The device at {endpoint} is unlocked but reports no job id, so this program could not check that it belongs to {expected}."
        => "Compare the device's label and display with the job. Then repeat the same command, which asks the device again. If that fails too, show this message to AWS Support with the job id.";
    /// `check` is the part of the hint that says what may be wrong.
    DeviceRefused { job: String, what: String, said: String, check: String } = Device "device_refused"
        "`snowballEdge {what}` failed: {said}"
        => "The stored code and manifest are unchanged. A rejected code is never retried automatically. {check} After a software update of the device, fetch a new pair:\n  snow-onboard fetch --refresh {job}\nIf that does not help, show this to AWS Support with the job id.";
    /// Where nobody waits for it to start. `said` comes from the client.
    DeviceGivesNoAnswer { job: String, endpoint: String, said: String } = Device "device_gives_no_answer"
        "The device at {endpoint} answers on the network, but the client gets no answer from it with the code and manifest of {job}. The client said: {said}."
        => "If the device was started less than 20 minutes ago, wait, then repeat the same command. Otherwise it is another device, or its pair was replaced. Compare the label and the display with the job. After a software update of the device, fetch a new pair:\n  snow-onboard fetch --refresh {job}\nIf that does not help, show this to AWS Support with the job id.";
    /// `said` is the end of the sentence, and comes from the client.
    DeviceTellsNot { job: String, what: String, said: String } = Device "device_tells_not"
        "The device did not answer `snowballEdge {what}`: {said}"
        => "A device answers this command only while it is UNLOCKED. Unlock it, then repeat the same command:\n  snow-onboard unlock {job}\nIf it is UNLOCKED, unpack the current client from https://aws.amazon.com/snowball/resources and name it:\n  --client /path/to/snowball-client-linux/bin/snowballEdge";
    DeviceAnswerUnreadable { what: String } = Device "device_answer_unreadable"
        "The answer of `snowballEdge {what}` is not in the documented form."
        => "Repeat the same command. If it fails again, unpack the current client from https://aws.amazon.com/snowball/resources and name it:\n  --client /path/to/snowball-client-linux/bin/snowballEdge";
    AccessKeysNone { job: String } = Device "access_keys_none"
        "The device of {job} lists no access key."
        => "Restart the device, unlock it, and repeat the same command. If it lists none again, show this to AWS Support with the job id.";
    /// `which` follows "does not offer", `state` follows "it"; `hint` is the hint.
    StorageNotActive { which: String, state: String, hint: String } = Device "storage_not_active"
        "The device does not offer {which}: it {state}."
        => "{hint}";
    /// `hint` is the hint: what may be the reason.
    ClusterNodeUnknown { cluster: String, found: String, endpoint: String, hint: String } = Device "cluster_node_unknown"
        "The cluster at {endpoint} lists {found}, which is not known as a node of {cluster}."
        => "{hint}";
    /// `silent` names those that do not answer, as a sentence of its own.
    ClusterTooFew { cluster: String, answer: usize, nodes: usize, silent: String } = Device "cluster_too_few"
        "{answer} of the {nodes} nodes of {cluster} answer, and this program needs more than half of them. Nothing was given to the client.{silent}"
        => "Switch the missing nodes on, check their cables, and give the address of each with --endpoint and --node. Then repeat the same command. To unlock only the nodes that answer, add:\n  --without-missing";
    /// `hint` is the hint: how the missing nodes are unlocked later.
    ClusterIncomplete { cluster: String, open: usize, nodes: usize, missing: String, hint: String } = DeviceTimeout "cluster_incomplete"
        "{open} of the {nodes} nodes of {cluster} are UNLOCKED, ASSOCIATED and REACHABLE. Missing: {missing}."
        => "{hint}";
    DeviceRelocked { seconds: u64 } = Device "device_relocked"
        "The device started to unlock but is locked again after {seconds} seconds."
        => "The stored code and manifest are unchanged. Repeat the same command once; if it happens again, show this to AWS Support with the job id.";
    DeviceStaysLocked { job: String, seconds: u64 } = Device "device_stays_locked"
        "The client reported success, but the device still reports LOCKED after {seconds} seconds."
        => "The stored code and manifest are unchanged. Look at the display, then repeat the same command once. If it happens again, fetch a new pair:\n  snow-onboard fetch --refresh {job}\nIf that does not help, show this to AWS Support with the job id.";
    /// `states` is each device that is not open, with what was said of it last.
    /// `which` is the subject: one device, or so many of them. `job` is what to unlock: one, or `--all`.
    WatchTimeout { job: String, which: String, states: String, seconds: u64, longer: String } = DeviceTimeout "watch_timeout"
        "{which} did not report UNLOCKED within {seconds} seconds: {states}."
        => "A device that reports LOCKED has to be unlocked:\n  snow-onboard unlock {job}\nIf a device is still busy, repeat the same command with more time:\n  --wait-timeout {longer}";
    DeviceTimeout { state: String, seconds: u64, longer: String } = DeviceTimeout "device_timeout"
        "The device did not report UNLOCKED within {seconds} seconds. The state that was read last is: {state}."
        => "The stored code and manifest are unchanged. Look at the display, then repeat the same command, with more time if it is still busy:\n  --unlock-timeout {longer}\nIf the display shows no progress, show this to AWS Support with the job id.";

    /// `by` is what ended it: a key, or the signal's name.
    Interrupted { signal: i32, by: &'static str, kept: String, hint: String } = Interrupted "interrupted"
        "Interrupted ({by}). {kept}"
        => "{hint}";
    Internal { what: String } = Internal "internal"
        "An unexpected internal error occurred: {what}."
        => "This is a bug in snow-onboard. Report it to whoever gave you this program. You can repeat the command.";
}

/// Result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

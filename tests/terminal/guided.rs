//! The guided run: everything is asked for, in a terminal of any width.

use std::time::Duration;

use snow_rehearsal::{ClientOptions, DeviceOptions, Fault, Job, Operation, Rehearsal, Times, Unlocking};

use crate::pty::{CTRL_C, Terminal};
use crate::stage::agent;

const NONE: [&str; 2] = ["--keychain", "none"];

/// `snow-onboard` without a verb, for a rehearsal whose client is not in PATH.
fn guided(rehearsal: &Rehearsal, cols: u16, rows: u16) -> Terminal {
    let mut command = agent(rehearsal, [] as [&str; 0]);
    command.env("SNOW_ONBOARD_CLIENT", rehearsal.client_path()).args(NONE);
    Terminal::start(command, cols, rows)
}

/// What differs between runs is replaced by words of the same length, so that the columns stay.
fn screen(terminal: &Terminal, rehearsal: &Rehearsal) -> String {
    let of_the_same_length = |word: &str, text: &str| format!("{word:_<width$}", width = text.len());
    let mut screen = unwrapped(&terminal.screen());
    let root = rehearsal.root().to_string_lossy().into_owned();
    let endpoint = rehearsal.device().endpoint();
    let host = endpoint.trim_start_matches("https://");
    for (what, word) in [(root.as_str(), "ROOT"), (host, "DEVICE")] {
        screen = screen.replace(what, &of_the_same_length(word, what));
    }
    for (at, job) in rehearsal.jobs().iter().enumerate() {
        screen = screen.replace(job.id(), &of_the_same_length(&format!("JOB-{at}"), job.id()));
    }
    screen
}

fn host(rehearsal: &Rehearsal) -> String {
    rehearsal.device().endpoint().trim_start_matches("https://").to_owned()
}

#[test]
fn one_of_several_is_chosen_an_address_is_tried_again_and_the_device_is_open() {
    let rehearsal = Rehearsal::builder().job(Job::new()).job(Job::new().description(Some("Ship log"))).start().unwrap();
    let mut terminal = guided(&rehearsal, 100, 50);
    terminal.answer("Number, 1 to 2:", "3");
    terminal.wait_for("There is no “3” in this list.");
    let number = if terminal.screen().contains(&format!("1  {}", rehearsal.job().id())) { "1" } else { "2" };
    terminal.answer("Number, 1 to 2:", number);
    for code in ["abcde-01234-abcde-01234-abcde", "abcde01234abcde01234abcde"] {
        terminal.answer("on the device's display", code);
        terminal.wait_for("looks like an unlock code");
    }
    terminal.answer("on the device's display", "q");
    terminal.answer("on the device's display", "8.8.8.8");
    terminal.answer("Is that what its display says?", "y");
    terminal.answer("on the device's display", "127.0.0.1:1");
    terminal.answer("Press Enter to try again", &host(&rehearsal));
    terminal.answer("Continue? [Y/n]", "");
    terminal.wait_for("is UNLOCKED.");
    assert_eq!(terminal.end(), 0, "{}", terminal.screen());
    let shown = terminal.transcript();
    assert!(!shown.contains(&rehearsal.job().unlock_code()));
    assert!(
        terminal.screen().contains(" --keychain none"),
        "the command it gives does the same: {}",
        terminal.screen()
    );
    // The terminal itself shows what is typed; it is not said again.
    for code in ["abcde-01234-abcde-01234-abcde", "abcde01234abcde01234abcde"] {
        assert_eq!(terminal.screen().matches(code).count(), 1, "{}", terminal.screen());
    }
}

#[test]
fn a_cluster_is_chosen_and_the_address_of_each_node_is_asked_for() {
    let rehearsal = Rehearsal::builder().job(Job::new()).cluster(Job::new(), 3).start().unwrap();
    let id = rehearsal.clusters()[0].clone();
    let cluster = rehearsal.start_cluster(&id, |_| DeviceOptions::default()).unwrap();
    let addresses = cluster.addresses();
    let mut terminal = guided(&rehearsal, 120, 60);
    terminal.wait_for("cluster, 3 nodes delivered");
    terminal.answer("Number, 1 to 2:", &id);
    terminal.answer("on the device's display", &addresses[1]);
    terminal.answer("Continue? [Y/n]", "");
    terminal.answer("Address of node 2 of 3", &addresses[0]);
    terminal.answer("Address of node 3 of 3", &addresses[2]);
    terminal.wait_for("3 of 3 nodes");
    assert_eq!(terminal.end(), 0, "{}", terminal.screen());
    assert!(cluster.is_open() && !terminal.transcript().contains(&rehearsal.job().unlock_code()));
}

#[test]
fn after_a_stop_the_question_is_drawn_again_and_answered() {
    let rehearsal = Rehearsal::builder().job(Job::new()).start().unwrap();
    let mut terminal = guided(&rehearsal, 100, 50);
    terminal.wait_for("on the device's display");
    let times = |text: &str| text.matches("on the device's display").count();
    let before = times(&terminal.screen());
    for signal in [rustix::process::Signal::STOP, rustix::process::Signal::CONT] {
        terminal.signal(signal);
    }
    terminal.wait_until("the question again", |screen| times(&screen.contents()) > before);
    terminal.type_line(&host(&rehearsal)).wait_for("Continue? [Y/n]").type_line("n");
    assert_eq!(terminal.end(), 2, "{}", terminal.screen());
}

#[test]
fn at_40_columns_words_stay_whole_and_commands_too() {
    let rehearsal = Rehearsal::builder().job(Job::new()).job(Job::new()).start().unwrap();
    let mut terminal = guided(&rehearsal, 40, 60);
    terminal.wait_for("Number, 1 to 2:");
    let list = screen(&terminal, &rehearsal);
    let number = if list.contains("1  JOB-0") { "1" } else { "2" };
    let (first, second) = if number == "1" { ("JOB-0", "JOB-1") } else { ("JOB-1", "JOB-0") };
    let entry = |job: &str| {
        let number = if job == "JOB-0" { 84 } else { 85 };
        format!(
            "     EDGE, IMPORT, Rehearsal, created 9\n     days ago, tracking number\n     1Z999AA101234567{number}\n"
        )
    };
    let rest = "_".repeat(34);
    // The id has 39 characters: with its number it goes over the edge, where the terminal breaks it.
    let head = |number: &str, job: &str| format!("  {number}  {job}{rest}\n");
    let expected = format!(
        "\nWhich job's device is it? The tracking\nnumber is on its shipping label.\n\n{}{}{}{}\nNumber, 1 to 2:",
        head("1", first),
        entry(first),
        head("2", second),
        entry(second)
    );
    assert_eq!(list.trim_end(), expected);
    terminal.type_line(number).wait_for("such as 192.0.2.10:").type_line(&host(&rehearsal)).wait_for("Continue? [Y/n]");
    assert!(screen(&terminal, &rehearsal).contains("is kept nowhere"), "{}", terminal.screen());
    terminal.type_line("y").wait_for("UNLOCKED.");
    assert_eq!(terminal.end(), 0, "{}", terminal.screen());
    for line in terminal.screen().lines() {
        assert!(line.chars().count() <= 40, "{line}");
    }
    let screen = terminal.screen();
    assert!(screen.contains("Hand-over  private profile; code not on\n  any command line"), "{screen}");
}

/// Where the terminal itself broke a line, its halves are one again: an id of 39 characters.
fn unwrapped(screen: &str) -> String {
    let mut whole = String::new();
    for line in screen.lines() {
        whole.push_str(line);
        if line.chars().count() != 40 {
            whole.push('\n');
        }
    }
    whole
}

#[test]
fn a_terminal_that_is_made_narrow_meanwhile_ends_without_leftovers() {
    let device = DeviceOptions { unlocking: Unlocking::For(Duration::from_secs(4)), ..DeviceOptions::default() };
    let rehearsal = Rehearsal::builder().device(device).start().unwrap();
    let mut terminal = guided(&rehearsal, 100, 60);
    terminal.wait_for("such as 192.0.2.10:").type_line(&host(&rehearsal)).wait_for("Continue? [Y/n]").type_line("");
    terminal.wait_for("to unlock (it reports UNLOCKING)").resize(40, 60);
    terminal.wait_for("Nothing is stored on this machine.");
    assert_eq!(terminal.end(), 0, "{}", terminal.screen());
    let screen = terminal.screen();
    assert!(!screen.contains("waiting for") && !screen.chars().any(is_of_a_spinner), "{screen}");
}

/// Braille, which the spinner is drawn with.
fn is_of_a_spinner(c: char) -> bool {
    ('\u{2800}'..='\u{28ff}').contains(&c)
}

#[test]
fn the_line_that_is_drawn_over_again_comes_and_goes() {
    let device = DeviceOptions { unlocking: Unlocking::For(Duration::from_secs(3)), ..DeviceOptions::default() };
    let rehearsal = Rehearsal::builder().device(device).start().unwrap();
    let mut terminal = guided(&rehearsal, 100, 60);
    terminal.wait_for("such as 192.0.2.10:").type_line(&host(&rehearsal)).wait_for("Continue? [Y/n]").type_line("");
    terminal.wait_until("a spinner", |screen| screen.contents().chars().any(is_of_a_spinner));
    terminal.wait_for("is UNLOCKED.");
    assert_eq!(terminal.end(), 0);
    assert!(!terminal.screen().chars().any(is_of_a_spinner), "{}", terminal.screen());
}

#[test]
fn a_dumb_terminal_gets_lines_and_no_color_is_no_colour() {
    let device = DeviceOptions { unlocking: Unlocking::For(Duration::from_secs(3)), ..DeviceOptions::default() };
    let rehearsal = Rehearsal::builder().device(device).start().unwrap();
    let (job, endpoint) = (rehearsal.job(), rehearsal.device().endpoint());
    let start = |variable: (&str, &str)| {
        rehearsal.device().power_loss_for(Duration::ZERO);
        let mut command = agent(&rehearsal, ["run", job.id(), "--endpoint", &endpoint]);
        command.env("SNOW_ONBOARD_CLIENT", rehearsal.client_path()).env(variable.0, variable.1).args(NONE);
        let mut terminal = Terminal::start(command, 100, 60);
        terminal.wait_for("is UNLOCKED.");
        assert_eq!(terminal.end(), 0, "{}", terminal.screen());
        terminal.transcript()
    };
    // SGR: ESC [ … m. Other sequences move the cursor or clear the line.
    let colours = |transcript: &str| {
        console::AnsiCodeIterator::new(transcript).any(|(piece, is_sequence)| is_sequence && piece.ends_with('m'))
    };
    let usual = start(("LANG", "C.UTF-8"));
    assert!(colours(&usual) && usual.contains("\u{1b}[2K"), "the control: {}", usual.escape_debug());
    let dumb = start(("TERM", "dumb"));
    assert!(!dumb.contains('\u{1b}') && !dumb.replace("\r\n", "\n").contains('\r'), "{}", dumb.escape_debug());
    assert!(dumb.contains("waiting for the device"), "{dumb}");
    let plain = start(("NO_COLOR", "1"));
    assert!(!colours(&plain), "{}", plain.escape_debug());
}

#[test]
fn the_command_line_is_used_only_after_a_yes() {
    // It keeps to a home of its own, so that only the command line is left.
    let stubborn = ClientOptions { ignores_our_home: true, ..ClientOptions::default() };
    let rehearsal = Rehearsal::builder().client(stubborn).start().unwrap();
    let start = |answer: &str| {
        let mut command =
            agent(&rehearsal, ["run", rehearsal.job().id(), "--endpoint", &rehearsal.device().endpoint()]);
        command.arg("--client").arg(rehearsal.client_path()).args(NONE);
        let mut terminal = Terminal::start(command, 100, 50);
        terminal.wait_for("Pass the unlock code on the command line? [yes/N]").type_line(answer);
        (terminal.end(), terminal.screen())
    };
    let (exit, screen) = start("");
    assert_eq!(exit, 12, "{screen}");
    let (exit, screen) = start("y");
    assert_eq!(exit, 12, "a key too many is no consent: {screen}");
    let (exit, screen) = start("yes");
    assert_eq!(exit, 0, "{screen}");
}

#[test]
fn ctrl_c_at_a_question_ends_it_and_says_so() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let mut terminal = guided(&rehearsal, 80, 30);
    terminal.wait_for("such as 192.0.2.10:").press(CTRL_C);
    assert_eq!(terminal.end(), 130, "{}", terminal.screen());
    assert!(terminal.screen().contains("Interrupted"), "{}", terminal.screen());
}

#[test]
fn what_is_typed_before_a_question_does_not_answer_it() {
    let stubborn = ClientOptions { ignores_our_home: true, ..ClientOptions::default() };
    let rehearsal = Rehearsal::builder().client(stubborn).start().unwrap();
    let mut terminal = guided(&rehearsal, 100, 50);
    terminal.answer("on the device's display", &host(&rehearsal));
    terminal.answer("Continue? [Y/n]", "y\ryes");
    terminal.wait_for("Pass the unlock code on the command line? [yes/N]");
    terminal.answer("[yes/N]", "no");
    assert_eq!(terminal.end(), 12, "{}", terminal.screen());
    let calls = rehearsal.client_invocations().unwrap();
    let code = rehearsal.job().unlock_code();
    assert!(!calls.iter().any(|call| call.argv.iter().any(|word| word.contains(&code))), "the code is in argv");
}

#[test]
fn without_a_keychain_nothing_is_asked_first() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    // No bus, and so no Secret Service; nothing says that it is to be kept elsewhere.
    let mut command = agent(&rehearsal, [] as [&str; 0]);
    command.env("SNOW_ONBOARD_CLIENT", rehearsal.client_path()).env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    let mut terminal = Terminal::start(command, 100, 30);
    assert_eq!(terminal.end(), 8, "{}", terminal.screen());
    assert!(!terminal.screen().contains("IP address"), "{}", terminal.screen());
}

#[test]
fn a_region_that_is_missing_is_asked_for() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let mut command = agent(&rehearsal, [] as [&str; 0]);
    command.env("SNOW_ONBOARD_CLIENT", rehearsal.client_path()).env_remove("AWS_REGION").args(NONE);
    let mut terminal = Terminal::start(command, 100, 50);
    // It becomes a part of a host name.
    terminal.answer("The AWS region", "elsewhere.example/");
    terminal.wait_for("is no AWS region");
    terminal.answer("The AWS region", rehearsal.region());
    terminal.answer("on the device's display", &host(&rehearsal));
    terminal.wait_for(&format!(" --region {}", rehearsal.region()));
    terminal.answer("Continue? [Y/n]", "");
    terminal.wait_for("is UNLOCKED.");
    assert_eq!(terminal.end(), 0, "{}", terminal.screen());
}

#[test]
fn who_may_not_list_jobs_is_asked_for_the_id() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    rehearsal.plant(Operation::ListJobs, Fault::AccessDenied, Times::Always);
    let mut terminal = guided(&rehearsal, 100, 50);
    terminal.answer("The job's id", "JID");
    terminal.wait_for("has 3 characters where a job id has 39");
    terminal.answer("The job's id", rehearsal.job().id());
    terminal.answer("on the device's display", &host(&rehearsal));
    terminal.answer("Continue? [Y/n]", "");
    terminal.wait_for("is UNLOCKED.");
    assert_eq!(terminal.end(), 0, "{}", terminal.screen());
}

#[test]
fn where_nothing_may_be_asked_it_says_why() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let mut terminal = Terminal::start(agent(&rehearsal, ["--no-input"]), 100, 30);
    assert_eq!(terminal.end(), 2, "{}", terminal.screen());
    assert!(terminal.screen().contains("With --no-input nothing is asked"), "{}", terminal.screen());
}

//! Tab in a real bash, with the script that the program hands out.

use std::path::Path;
use std::process::Command;

use snow_rehearsal::Rehearsal;

use crate::pty::Terminal;

const TAB: &str = "\t";

/// A bash in a folder that holds this one file.
fn bash(rehearsal: &Rehearsal, folder: &Path, file: &str) -> Terminal {
    std::fs::create_dir(folder).unwrap();
    std::fs::write(folder.join(file), "").unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_snow-onboard")).parent().unwrap();
    let mut bash = Command::new("bash");
    bash.args(["--noprofile", "--norc", "-i"]).current_dir(folder).env_clear().envs(rehearsal.env());
    bash.env("PATH", format!("{}:{}", program.display(), std::env::var("PATH").unwrap()));
    bash.env("PS1", "ready> ").env("HISTFILE", "/dev/null").env("INPUTRC", "/dev/null");
    // Wide enough that no line is broken.
    let mut terminal = Terminal::start(bash, 200, 60);
    terminal.wait_for("ready>").type_line(r#"eval "$(snow-onboard completions bash)"; echo s\ourced"#);
    terminal.wait_until("the script", |screen| screen.contents().matches("\nsourced").count() == 1);
    terminal
}

/// What a name does to the shell that it is put in, and whether it arrives whole.
#[test]
fn a_file_is_completed_as_one_word_and_nothing_in_its_name_is_done() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    for (number, file) in
        ["x$(touch PWNED).pem", "my ca.pem", "x;touch PWNED;.pem", "x`touch PWNED`.pem"].iter().enumerate()
    {
        let folder = rehearsal.root().join(format!("folder {number}"));
        let mut terminal = bash(&rehearsal, &folder, file);
        // `settings` says what it was given, without the quotes of the command line.
        terminal.press("snow-onboard settings --ca-bundle ").press(TAB).wait_for(".pem");
        terminal.type_line("").wait_for(file).type_line("exit 0");
        assert_eq!(terminal.end(), 0, "{file}: {}", terminal.screen());
        assert!(!folder.join("PWNED").exists(), "{file}: {}", terminal.screen());
    }
}

#[test]
fn commands_and_values_are_completed() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let mut terminal = bash(&rehearsal, &rehearsal.root().join("folder"), "kern.pem");
    terminal.press("snow-onboard exi").press(TAB).wait_for("exit-codes ");
    terminal.press("--keychain ker").press(TAB).wait_for("exit-codes --keychain kernel ");
    terminal.type_line("").type_line("exit 0");
    assert_eq!(terminal.end(), 0);
}

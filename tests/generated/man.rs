//! The manual pages: one of the program, one of each verb, from the definition of the command line. No date and no version
//! stands in them, so that they change only when what they say does.

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};
use snow_onboard::cli::Cli;
use snow_onboard::error::ExitCode;
use snow_onboard::settings::table::SETTINGS;

use crate::{examples, fresh};

#[test]
fn the_manual_pages_are_what_the_command_line_s_definition_says() {
    let mut program = Cli::command().subcommand_help_heading("COMMANDS").subcommand_value_name("COMMAND");
    program.build();
    fresh::check("packaging/man/snow-onboard.1", &page_of_the_program(&program));
    let verbs: Vec<&Command> = program.get_subcommands().filter(|verb| !verb.is_hide_set()).collect();
    assert!(verbs.len() >= 4);
    for verb in &verbs {
        let file = format!("packaging/man/snow-onboard-{}.1", verb.get_name());
        fresh::check(&file, &page_of_a_verb(verb));
    }
    let pages = fresh::names("packaging/man");
    // And that of the manual, in section 7.
    assert_eq!(pages.len(), verbs.len() + 2, "a page of a verb that is no more: {pages:?}");
}

fn page_of_the_program(program: &Command) -> String {
    let mut page = Page::new(program);
    let man = page.man.clone();
    page.section(|out| man.render_subcommands_section(out));
    page.exit_status();
    page.environment(program);
    page.files();
    page.examples(program);
    page.see_also(program.get_subcommands().map(|verb| format!("snow-onboard-{}", verb.get_name())));
    page.text
}

fn page_of_a_verb(verb: &Command) -> String {
    let mut page = Page::new(verb);
    page.roff(|roff| {
        roff.control("SH", ["EXIT STATUS"]);
        roff.text([
            roman("0 when it did what it says. The others, and variables and files, are listed in "),
            bold("snow-onboard"),
            roman("(1)."),
        ]);
    });
    page.examples(verb);
    page.see_also(["snow-onboard".to_owned()]);
    page.text
}

/// How roff is told of an apostrophe that is not turned into a quote.
const APOSTROPHE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// A page that is being written.
struct Page {
    man: std::rc::Rc<Man>,
    text: String,
}

impl Page {
    /// With what every page begins with.
    fn new(command: &Command) -> Self {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_uppercase();
        let title = format!("{APOSTROPHE}.TH {name} 1 \"\" snow-onboard \"User commands\"\n");
        let mut page = Self { man: std::rc::Rc::new(Man::new(command.clone())), text: title };
        let man = page.man.clone();
        page.section(|out| man.render_name_section(out));
        page.section(|out| man.render_synopsis_section(out));
        page.section(|out| man.render_description_section(out));
        let (before, _) = examples::of(command);
        if !before.is_empty() {
            page.roff(|roff| {
                roff.control("PP", []);
                roff.text([roman(before)]);
            });
        }
        page.section(|out| man.render_options_section(out));
        page
    }

    fn section(&mut self, write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        // Each part begins by defining an apostrophe; once is enough.
        for line in text.strip_prefix(APOSTROPHE).unwrap_or(&text).lines() {
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }

    fn roff(&mut self, write: impl FnOnce(&mut Roff)) {
        let mut roff = Roff::new();
        write(&mut roff);
        self.section(|out| roff.to_writer(out));
    }

    fn exit_status(&mut self) {
        self.roff(|roff| {
            roff.control("SH", ["EXIT STATUS"]);
            roff.text([roman("The numbers are stable. After the colon: what to look at or to do. The names of the errors behind each are listed by "), bold("snow-onboard exit-codes"), roman(".")]);
            for code in ExitCode::ALL {
                roff.control("TP", []);
                roff.text([bold((*code as u8).to_string())]);
                let mut text = marked_up(code.meaning());
                if !code.advice().is_empty() {
                    text.push(roman(": "));
                    text.extend(marked_up(code.advice()));
                }
                roff.text(text);
            }
        });
    }

    fn environment(&mut self, program: &Command) {
        self.roff(|roff| {
            roff.control("SH", ["ENVIRONMENT"]);
            roff.text([roman("A variable is weaker than the flag of the same name, and stronger than a file. An empty one counts as unset, and one of this form that names no setting is refused.")]);
            for setting in SETTINGS {
                roff.control("TP", []);
                roff.text([bold(setting.variable())]);
                roff.text([roman("as "), bold(setting.flag()), roman(format!(": {}", help(program, setting.key)))]);
            }
            for (name, text) in [
                ("AWS_PROFILE, AWS_REGION, AWS_ACCESS_KEY_ID, …", "credentials and region, as for the AWS CLI"),
                ("AWS_ENDPOINT_URL_SNOWBALL, AWS_ENDPOINT_URL", "another address of the Snowball API; https only"),
                ("AWS_CA_BUNDLE", "as SNOW_ONBOARD_CA_BUNDLE, and weaker than it"),
                ("HTTPS_PROXY, NO_PROXY", "the proxy to AWS, and what is reached without it"),
            ] {
                roff.control("TP", []);
                roff.text([bold(name)]);
                roff.text([roman(text)]);
            }
        });
    }

    fn files(&mut self) {
        self.roff(|roff| {
            roff.control("SH", ["FILES"]);
            for (path, text) in [
                ("~/.local/state/snow-onboard/jobs/", "manifests and records, a folder a job; never an unlock code. $XDG_STATE_HOME is honoured. On macOS below ~/Library/Application Support/snow-onboard/"),
                ("~/.local/state/snow-onboard/audit.jsonl", "who did what, when; no secrets. Checked by snow-onboard audit verify"),
                ("~/.local/state/snow-onboard/clients.json", "what clients answered to version, to save time; no secrets"),
                ("~/.config/snow-onboard/config.toml", "settings of the user, also on macOS. $XDG_CONFIG_HOME is honoured"),
                ("/etc/snow-onboard/config.toml", "settings of the system, which may lock some. On macOS /Library/Application Support/snow-onboard/config.toml"),
            ] {
                roff.control("TP", []);
                roff.text([italic(path)]);
                roff.text([roman(text)]);
            }
        });
    }

    fn examples(&mut self, command: &Command) {
        let (_, examples) = examples::of(command);
        assert!(!examples.is_empty(), "the help of {} has no examples", command.get_name());
        self.roff(|roff| {
            roff.control("SH", ["EXAMPLES"]);
            for (nth, example) in examples.into_iter().enumerate() {
                if nth > 0 {
                    roff.control("PP", []);
                }
                if let Some(caption) = example.caption {
                    roff.text([roman(format!("{caption}:"))]);
                }
                roff.control("RS", ["4"]);
                roff.control("nf", []);
                for line in example.lines {
                    roff.text([roman(line)]);
                }
                roff.control("fi", []);
                roff.control("RE", []);
            }
        });
    }

    fn see_also(&mut self, pages: impl IntoIterator<Item = String>) {
        let pages: Vec<String> = pages.into_iter().collect();
        self.roff(|roff| {
            roff.control("SH", ["SEE ALSO"]);
            for (nth, page) in pages.iter().enumerate() {
                let end = if nth + 1 == pages.len() { "(1)" } else { "(1)," };
                roff.text([bold(page.as_str()), roman(end)]);
            }
        });
    }
}

/// What stands between backticks is set in bold.
fn marked_up(text: &str) -> Vec<clap_mangen::roff::Inline> {
    let parts = text.split('`').enumerate().filter(|(_, part)| !part.is_empty());
    parts.map(|(nth, part)| if nth % 2 == 1 { bold(part) } else { roman(part) }).collect()
}

/// What the flag of a setting says of itself.
fn help(program: &Command, key: &str) -> String {
    let commands = std::iter::once(program).chain(program.get_subcommands());
    let mut flags = commands.flat_map(Command::get_arguments).filter(|flag| flag.get_id() == key);
    flags.next().and_then(clap::Arg::get_help).unwrap_or_else(|| panic!("no flag for {key}")).to_string()
}

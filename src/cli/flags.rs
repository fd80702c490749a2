//! The settings as flags: what [`settings::table`](crate::settings::table) declares, as the parser takes it.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::model::Origin;
use crate::settings::table::{EVERY, SETTINGS, Setting};
use crate::settings::{Flags, Given};

/// The flags of the settings of which the table says that they are of these `VERBS`.
#[derive(Debug, Default)]
pub struct FlagsOf<const VERBS: u8>(pub(super) Flags);

impl<const VERBS: u8> FlagsOf<VERBS> {
    fn settings() -> impl Iterator<Item = &'static Setting> {
        SETTINGS.iter().copied().filter(|setting| setting.verbs & VERBS != 0)
    }
}

impl<const VERBS: u8> Args for FlagsOf<VERBS> {
    fn augment_args(command: Command) -> Command {
        command.args(Self::settings().flat_map(flags))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const VERBS: u8> FromArgMatches for FlagsOf<VERBS> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Flags::new();
        for setting in Self::settings() {
            if setting.is_switch() {
                if matches.get_flag(setting.key) {
                    flags.insert(Given::of(setting, true.into()));
                }
            } else if let Some(text) = matches.get_one::<String>(setting.key) {
                flags.insert(Given::read(setting, text.to_owned(), Origin::Flag(setting.flag())));
            }
            if let Some(short) = setting.shorthand.as_ref().filter(|short| matches.get_flag(short.flag)) {
                let flag = Origin::Flag(format!("--{}", short.flag));
                flags.insert(Given::read(setting, short.value.to_owned(), flag));
            }
        }
        Ok(Self(flags))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        Self::from_arg_matches(matches).map(|flags| *self = flags)
    }
}

/// The flag of a setting, and the shorthand for one of its values.
fn flags(setting: &'static Setting) -> impl Iterator<Item = Arg> {
    let is_of_every = setting.verbs & EVERY != 0;
    let flag = Arg::new(setting.key)
        .long(setting.key.replace('_', "-"))
        .short(setting.short)
        .help(setting.help_of_flag())
        .global(is_of_every);
    let flag = match (setting.is_switch(), setting.words) {
        (true, _) => flag.action(ArgAction::SetTrue),
        (false, []) => flag.value_name(setting.value_name),
        (false, words) => flag.value_name(setting.value_name).value_parser(PossibleValuesParser::new(words)),
    };
    let short = setting.shorthand.as_ref();
    let flag = short.map(|short| short.flag).into_iter().fold(flag, Arg::conflicts_with);
    // A hint is pasted to the end of a command, which may have the flag already: the last one counts.
    let flag = flag.overrides_with(setting.key);
    let shorthand = short.map(|short| {
        Arg::new(short.flag).long(short.flag).help(short.help).action(ArgAction::SetTrue).global(is_of_every)
    });
    std::iter::once(flag).chain(shorthand)
}

//! The exit codes: number, meaning and advice in one table. The command `exit-codes`, the man page and README's table are
//! made from it.

use super::Error;

/// Defines the enum and its texts from one table. Backticks in the texts stand around what can be typed.
macro_rules! exit_codes {
    ($( $(#[$default:ident])? $name:ident = $number:literal $meaning:literal => $advice:literal; )+) => {
        /// Exit codes. Stable: scripts depend on them.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum ExitCode {
            $( $(#[$default])? #[doc = $meaning] $name = $number ),+
        }

        impl ExitCode {
            /// All of them, in ascending order.
            pub const ALL: &'static [Self] = &[$( Self::$name ),+];

            /// The names of the errors that end with it, as [`Error::CODES`] has them.
            pub fn codes(self) -> impl Iterator<Item = &'static str> {
                Error::CODES.iter().filter(move |(_, exit)| *exit == self).map(|(code, _)| *code)
            }

            /// What it is about: a phrase without a full stop, with backticks around what can be typed.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $( Self::$name => $meaning ),+ }
            }

            /// What to look at or to do, in the same form. Empty where there is nothing to do.
            #[must_use]
            pub fn advice(self) -> &'static str {
                match self { $( Self::$name => $advice ),+ }
            }
        }
    };
}

exit_codes! {
    #[default]
    Done = 0 "done"
        => "";
    Internal = 1 "a bug in this program"
        => "please report it";
    Usage = 2 "the command line: job id, address, flags"
        => "`snow-onboard --help`";
    Settings = 3 "a settings file, a variable, a CA file, a value of a setting"
        => "the file and line that the message names";
    Credentials = 4 "AWS credentials or permissions, no region, this machine's clock"
        => "`aws sts get-caller-identity`";
    Network = 5 "the network to AWS"
        => "proxy, VPN; repeat the command";
    Job = 6 "the job: unknown, not delivered yet, cancelled, or already being returned"
        => "`snow-onboard jobs`";
    Answer = 7 "AWS answered with something unusable; a guest network's sign-in page"
        => "the message says what applies; repeat the command";
    Keychain = 8 "the keychain: absent, locked, full, not yours, silent, or not known to be encrypted; or a code stays in one that was not searched"
        => "unlock it; `--keychain kernel` or `none`";
    Disk = 9 "files and folders of this program, its output, the audit log, limits of the system"
        => "space, owner and permissions of the folder named";
    Pair = 10 "code and manifest don't match, or are stored together"
        => "`snow-onboard fetch --refresh JID…`";
    Client = 11 "the vendor's client: missing, changeable by others, unknown"
        => "`snow-onboard doctor`; `--client`";
    HandOver = 12 "the client can't be given the code privately"
        => "the message says what applies";
    Device = 13 "the device: unreachable, another one, it refused; or a client that does not use the profile it wrote itself"
        => "display, cable, address";
    DeviceTimeout = 14 "the device did not unlock in time"
        => "`--unlock-timeout 1h`";
    Busy = 15 "another run is at work on the job, or has stored one meanwhile"
        => "let it finish";
    NotTheClients = 125 "`client`: this program failed, and the vendor's client did not run to its end; any other exit code of `client` is the client's own"
        => "the message on stderr";
    Interrupted = 130 "interrupted (SIGINT; other signals end it as 128 + their number)"
        => "repeat the command";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_every_failure_has_advice() {
        assert!(ExitCode::ALL.is_sorted_by(|a, b| (*a as u8) < *b as u8));
        for code in ExitCode::ALL {
            assert_eq!(code.advice().is_empty(), *code == ExitCode::Done, "{code:?}");
            for text in [code.meaning(), code.advice()] {
                assert!(!text.ends_with('.') && text.matches('`').count() % 2 == 0, "{text}");
            }
        }
    }
}

//! Why there is no one-time code for a role that asks for one (`mfa_serial`).

use std::fmt;

use super::credentials::Profiles;

/// A one-time code is needed, and there is none.
#[derive(Debug, Clone)]
pub(super) struct CodeNeeded {
    /// The profile that asks for it.
    pub(super) profile: String,
    pub(super) why: WhyNoCode,
}

/// Why there is none.
#[derive(Debug, Clone)]
pub(super) enum WhyNoCode {
    /// Nobody can be asked for it.
    Nobody,
    /// Nothing was answered.
    Untold,
    /// What was answered were none.
    NoDigits,
    /// AWS does not accept it.
    Wrong,
    /// It was sent, and AWS did not answer, for this reason.
    Unanswered(String),
}

impl WhyNoCode {
    /// In words that end the sentence "profile … asks for a one-time code, and …".
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Nobody => "nobody can be asked for it here".to_owned(),
            Self::Untold => "none was given".to_owned(),
            Self::NoDigits => "what was typed is not a code of six digits".to_owned(),
            Self::Wrong => "AWS refuses the one that was given: it is wrong, or was used already".to_owned(),
            Self::Unanswered(why) => format!("the one that was given was sent to AWS, which did not answer ({why})"),
        }
    }

    pub(super) fn hint(&self, profiles: &Profiles) -> String {
        match self {
            Self::Nobody => {
                let (ask, again) = profiles.way_round_code();
                format!(
                    "Repeat the command at a terminal without --json and --no-input: this program then asks for the code. For a script, first have the AWS CLI ask for it in the same shell:\n  {ask}\n  {again}"
                )
            }
            Self::Untold | Self::NoDigits => {
                "Repeat the command, and type the six digits that your MFA app or token shows.".to_owned()
            }
            Self::Wrong | Self::Unanswered(_) => {
                "A code can be used once. Wait until your MFA app or token shows the next one, then repeat the command."
                    .to_owned()
            }
        }
    }
}

impl fmt::Display for CodeNeeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "profile “{}” asks for a one-time code", self.profile)
    }
}

impl std::error::Error for CodeNeeded {}

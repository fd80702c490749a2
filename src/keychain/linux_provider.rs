//! Which program serves the secrets, and what is said and done differently for it.

use zbus::blocking::Connection;

use super::backend::{KeychainFailure, PendingPrompt};
use super::linux_session_bus::{Owner, owner_of};

/// A program that is a Secret Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Provider {
    Gnome,
    KeePassXc,
    KWallet,
    /// Another one, by its process's name, if that can be told.
    Other(Option<String>),
}

impl Provider {
    /// By the other names that its owner has on the bus, which no sandbox hides, else by its process's name.
    pub(super) fn of(bus: &Connection, owner: &Owner) -> Self {
        for (name, provider) in [
            ("org.gnome.keyring", Self::Gnome),
            ("org.keepassxc.KeePassXC.MainWindow", Self::KeePassXc),
            ("org.kde.kwalletd6", Self::KWallet),
            ("org.kde.kwalletd5", Self::KWallet),
            ("org.kde.secretservicecompat", Self::KWallet),
        ] {
            if owner_of(bus, name).as_deref() == Some(&*owner.unique) {
                return provider;
            }
        }
        let comm = owner.pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok());
        Self::by_process(comm.as_deref().map(str::trim))
    }

    fn by_process(comm: Option<&str>) -> Self {
        match comm {
            Some(name) if name.starts_with("gnome-keyring") => Self::Gnome,
            Some(name) if name.starts_with("keepassxc") => Self::KeePassXc,
            Some(name) if name.starts_with("kwalletd") || name.starts_with("ksecretd") => Self::KWallet,
            other => Self::Other(other.map(crate::safety::sanitize::phrase)),
        }
    }

    /// What a person calls it.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Gnome => "GNOME Keyring",
            Self::KeePassXc => "KeePassXC",
            Self::KWallet => "KWallet",
            Self::Other(Some(name)) => name,
            Self::Other(None) => "the Secret Service",
        }
    }

    /// The same with its default collection.
    pub(super) fn name_with(&self, collection: &str) -> String {
        match self {
            Self::Gnome => format!("GNOME Keyring “{collection}”"),
            Self::KeePassXc => format!("KeePassXC's database “{collection}”"),
            Self::KWallet => format!("KWallet's wallet “{collection}”"),
            Self::Other(_) => format!("the Secret Service keyring “{collection}” ({})", self.name()),
        }
    }

    /// What is waited for when a person is to unlock it.
    pub(super) fn unlocking(&self) -> PendingPrompt {
        let name = self.name();
        PendingPrompt {
            waiting: format!("you to unlock {name}"),
            what_failed: format!("{} was not unlocked", sentence(name)),
        }
    }

    /// What is waited for when a person is to let this program at an item.
    pub(super) fn allowing(&self) -> PendingPrompt {
        let name = self.name();
        PendingPrompt {
            waiting: format!("you to allow access in {name}"),
            what_failed: format!("Access was not allowed in {name}"),
        }
    }

    /// What is waited for when a person is to agree to a removal.
    pub(super) fn removing(&self) -> PendingPrompt {
        let name = self.name();
        PendingPrompt {
            waiting: format!("you to agree to the removal in {name}"),
            what_failed: format!("The removal was not agreed to in {name}"),
        }
    }

    /// It is locked as a whole.
    pub(super) fn locked(&self) -> KeychainFailure {
        KeychainFailure::locked(match self {
            Self::Gnome => "Unlock it in “Passwords and Keys” (right click, Unlock)",
            Self::KeePassXc => "Unlock the database in KeePassXC's window",
            Self::KWallet => "Open the wallet in “KWalletManager” (Open…)",
            Self::Other(_) => "Unlock it in its own app",
        })
    }

    /// A person did not let this program at an item.
    pub(super) fn denied(&self, item: &str) -> KeychainFailure {
        KeychainFailure::Locked {
            item: Some(item.to_owned()),
            hint: match self {
                Self::KeePassXc => "In KeePassXC's window “Access Request” choose “Allow Selected”".to_owned(),
                _ => format!("Allow the access in {}", self.name()),
            },
        }
    }

    /// What to do where there is no default collection.
    pub(super) fn make_a_default(&self) -> String {
        let what = match self {
            Self::KeePassXc => {
                "Open a database in KeePassXC, and share one of its groups: Database, Database Settings, Secret Service \
                 Integration, “Expose entries under this group”."
            }
            Self::KWallet => "Create a wallet in “KWalletManager” (File, New Wallet…), with a password.",
            Self::Gnome | Self::Other(_) => {
                "Create a default keyring once (in “Passwords and Keys”: File, New, Password Keyring, then Set as default)."
            }
        };
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let wsl = if release.to_lowercase().contains("microsoft") {
            " WSL makes none by itself; the Windows build of this program uses Windows' own keychain."
        } else {
            ""
        };
        format!("{what}{wsl} Then repeat the same command.")
    }

    /// What to do about a collection without a password.
    pub(super) fn set_a_password(&self) -> String {
        match self {
            Self::KWallet => "Set a password for it (in “KWalletManager”: Change Password…)".to_owned(),
            Self::Gnome => "Set a password for it (in “Passwords and Keys”: right click, Change Password)".to_owned(),
            Self::KeePassXc | Self::Other(_) => "Set a password for it in its own app".to_owned(),
        }
    }

    /// What is known of how it stores, where no file of it can be looked at: its format is always encrypted. `None` if the file
    /// has to be seen.
    pub(super) fn known_encrypted(&self) -> Option<&'static str> {
        match self {
            Self::KeePassXc => {
                Some("KeePassXC encrypts its databases. Whether this one has a password can't be seen from here.")
            }
            Self::KWallet => {
                Some("KWallet encrypts its wallets. Whether this one has a password can't be seen from here.")
            }
            Self::Gnome | Self::Other(_) => None,
        }
    }

    /// What is not known of a keyring whose file has GNOME Keyring's encrypted format. GNOME Keyring itself writes none without a
    /// password in it; another program may (oo7 does, with a key that it makes of an empty password).
    pub(super) fn may_encrypt_with_nothing(&self) -> Option<String> {
        let name = sentence(self.name());
        matches!(self, Self::Other(_))
            .then(|| format!("{name} encrypts this keyring. Whether it has a password can't be seen from here."))
    }

    /// Whether it keeps what an item held before, and the item itself when it is deleted.
    pub(super) fn keeps_old_versions(&self) -> bool {
        *self == Self::KeePassXc
    }
}

fn sentence(name: &str) -> String {
    super::backend::at_the_start(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_known_by_their_process() {
        for (comm, provider) in [
            ("gnome-keyring-d", Provider::Gnome),
            ("keepassxc", Provider::KeePassXc),
            ("kwalletd5", Provider::KWallet),
            ("kwalletd6", Provider::KWallet),
            ("ksecretd", Provider::KWallet),
            ("oo7-daemon", Provider::Other(Some("oo7-daemon".to_owned()))),
        ] {
            assert_eq!(Provider::by_process(Some(comm)), provider, "{comm}");
        }
        assert_eq!(Provider::by_process(None).name(), "the Secret Service");
    }

    #[test]
    fn that_a_keyring_may_have_no_password_is_said_of_all_but_gnome_s() {
        for (provider, is_seen) in [
            (Provider::Gnome, true),
            (Provider::KeePassXc, false),
            (Provider::KWallet, false),
            (Provider::Other(None), false),
        ] {
            let said = provider.known_encrypted().map(str::to_owned).or_else(|| provider.may_encrypt_with_nothing());
            assert_eq!(said.is_none(), is_seen, "{provider:?}");
            assert!(said.is_none_or(|said| said.contains("password can't be seen from here")), "{provider:?}");
        }
    }

    #[test]
    fn only_gnome_s_keyring_is_sent_to_gnome_s_app() {
        for (provider, is_gnome) in
            [(Provider::Gnome, true), (Provider::Other(None), false), (Provider::KWallet, false)]
        {
            assert_eq!(provider.set_a_password().contains("Passwords and Keys"), is_gnome, "{provider:?}");
        }
    }
}

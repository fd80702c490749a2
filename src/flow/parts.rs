//! The part of the settings that each adapter is given: adapters and settings don't know each other.

use crate::cloud::CloudSettings;
use crate::device::ClientSettings;
use crate::keychain::{KeychainSettings, PlainKeyring};
use crate::model::KeychainKind;
use crate::settings::Settings;

impl Settings {
    /// The part that is about AWS.
    pub(crate) fn cloud(&self) -> CloudSettings {
        CloudSettings {
            profile: self.profile.clone(),
            region: self.region.clone(),
            ca_bundle: self.ca_bundle.clone(),
            network_timeout: self.network_timeout,
            manifest_limit: self.manifest_limit,
            helper: None,
        }
    }

    /// The part that is about the vendor's client.
    pub(crate) fn client(&self) -> ClientSettings {
        ClientSettings {
            client: self.client.clone(),
            client_sha256: self.client_sha256,
            allow_unknown: self.allow_unknown_client,
        }
    }

    /// The keychain for a job whose code is in the one given: that one, unless another was chosen.
    pub(crate) fn keychain_for(&self, kept_in: Option<KeychainKind>) -> KeychainKind {
        kept_in.filter(|_| !self.keychain_was_chosen()).unwrap_or(self.keychain)
    }

    /// The part that is about the keychain, for the keychain `kind`.
    pub(crate) fn keychain_settings(&self, kind: KeychainKind) -> KeychainSettings {
        let plain = if self.allow_plain_keyring { PlainKeyring::Allowed } else { PlainKeyring::Refused };
        KeychainSettings { kind, deadline: self.keychain_timeout, plain }
    }

    /// The same for what only reads or removes: what is kept in clear is made no safer by being refused.
    pub(crate) fn keychain_to_read(&self, kind: KeychainKind) -> KeychainSettings {
        KeychainSettings { plain: PlainKeyring::AsItIs, ..self.keychain_settings(kind) }
    }
}

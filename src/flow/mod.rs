//! What a run does, in which order: [`onboard`] is the flow, read from top to bottom; the rest serves it.

mod address;
mod after_unlock;
mod client_command;
mod cluster;
mod credentials;
mod delivery;
mod forget;
mod forget_choice;
mod keep;
mod known_address;
mod leftovers;
pub mod onboard;
mod open_session;
mod parts;
mod prepare;
mod receipt;
mod receipt_page;
mod recovery;
mod run_context;
mod setup_profile;
mod status;
mod store_pair;

pub(crate) use address::check_address;
pub(crate) use after_unlock::{keep_after_one_of_several, keep_after_unlock};
pub(crate) use client_command::{ClientCommand, ClientEnd};
pub(crate) use cluster::{
    AskedAt, address_templates, address_unknown, addresses_missing, check_addresses, check_count, note_nodes,
    target_among, target_named, with_remembered,
};
pub(crate) use credentials::{DeviceKey, check_keychain, device_key};
pub(crate) use forget::{forget_job, jobs_in_keychain};
pub(crate) use forget_choice::{Agreed, ChosenJob, ForgetChoice, confirm_removal, stored_in_words};
pub(crate) use keep::{About, apply_keep, keep_of, warn_all_until_unlocked};
pub(crate) use known_address::warn_of_known_addresses;
pub(crate) use leftovers::open_state_folder;
pub(crate) use onboard::Requested;
pub use onboard::Unlocked;
pub(crate) use prepare::{SharedClient, SharedKeychains};
pub(crate) use receipt::Receipt;
pub(crate) use run_context::ClusterRequest;
pub(crate) use setup_profile::{
    PlannedProfile, ProfileRequest, RemovedProfiles, ServiceAddress, Storage, WrittenLines, remove_profiles,
    warn_of_edits, written_profiles,
};
pub(crate) use status::{Depth, JobLook, look_at_job};

//! The vendor's client: where it is, whether it is what it was and only ours to change, what is said to it and how its words
//! are read.

pub(in crate::device) mod access_keys;
pub(in crate::device) mod cluster;
pub(in crate::device) mod data;
pub(in crate::device) mod find;
pub(in crate::device) mod integrity;
pub(in crate::device) mod output;
pub(in crate::device) mod own_profiles;
pub(in crate::device) mod profile;
pub(in crate::device) mod services;
mod unsafe_file;

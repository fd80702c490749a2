//! The security rules, each of which stands once: whoever needs one asks it here.

pub mod path_trust;

//! What is spoken of everywhere and belongs to no room: parsed once, valid ever after, no I/O.

mod digest;
mod region;

pub use digest::ClientDigest;
pub use region::Region;

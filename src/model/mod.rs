//! What is spoken of everywhere and belongs to no room: parsed once, valid ever after, no I/O.

mod region;

pub use region::Region;

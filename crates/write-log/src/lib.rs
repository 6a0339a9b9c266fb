//! What a power cut leaves of a disk: the log of its writes, the cuts in it, and the disk as it was at each.
//!
//! [`Log`] reads the format of dm-log-writes, which QEMU's `blklogwrites` writes; [`cuts`] lists the cuts;
//! [`Overlay`] and [`View`] show the disk at one of them without copying it.

pub mod cuts;

mod format;
mod overlay;
mod random;
mod view;

pub use format::{
    Action, ENTRIES_MAX, ENTRY_SIZE, Log, LogError, MAGIC, MARK_MAX, Record, SUPER_SIZE, VERSION, encode,
};
pub use overlay::{Overlay, Piece, Source};
pub use random::Random;
pub use view::View;

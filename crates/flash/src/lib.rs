//! Puts an image of ours onto a device: which device may take it, what is written in which order, and whether the
//! device has it. See `docs/operating/flashing.md` and `docs/decisions/2026-11-29-flash.md`.
//!
//! [`survey`], [`compose`] and [`Plan`] know bytes alone, [`refusals`] facts alone. [`machine`], [`open`] and [`content`]
//! look at a machine, below a root that tests make. [`candidates`], [`confirm`] and [`progress`] are what is asked and
//! said.

pub mod candidates;
pub mod confirm;
pub mod content;
pub mod machine;
pub mod mounts;
pub mod open;
pub mod progress;

mod compose;
mod plan;
mod refusal;
mod sheet;
mod survey;
mod write;

pub use compose::{ComposeError, Composed, Parts, Sizes, compose};
pub use machine::{Bus, Disk, Kind, Use};
pub use plan::{Content, Piece, Plan, PlanError};
pub use refusal::{LEN_MIN, Refusal, refusals};
pub use survey::{Survey, SurveyError, survey};
pub use write::{Phase, Progress, Target, WriteError, Written, write};

/// Bytes that are read, written and compared at a time. Partitions of our images start at multiples of it.
pub const CHUNK: u64 = disk_image::ALIGNMENT;

/// The same as a length in memory.
const CHUNK_LEN: usize = 1 << 20;

/// Returns what follows of `reader`, a chunk at most; less only at its end.
fn read_chunk(reader: &mut dyn std::io::Read, buffer: &mut Vec<u8>) -> std::io::Result<()> {
    use std::io::Read as _;
    buffer.clear();
    reader.take(CHUNK).read_to_end(buffer).map(drop)
}

fn is_zero(bytes: &[u8]) -> bool {
    // Compared as a whole, which is fast without optimization too.
    static ZEROS: [u8; CHUNK_LEN] = [0; CHUNK_LEN];
    bytes.chunks(CHUNK_LEN).all(|part| part == &ZEROS[..part.len()])
}

//! The commands of `cargo xtask`, one file each.

pub mod bench;
pub mod build_image;
pub mod ci;
pub mod compare;
pub mod lock;
pub mod report;
pub mod run;
pub mod soak;
pub mod ssh;
pub mod test;

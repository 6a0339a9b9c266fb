//! The commands of `cargo xtask`, one file each.

pub mod build_image;
pub mod lock;
pub mod report;
pub mod run;
pub mod ssh;

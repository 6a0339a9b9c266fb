//! The commands of `cargo xtask`, one file each.

pub mod bench;
pub mod build_image;
pub mod ci;
pub mod cluster;
pub mod compare;
pub mod docs;
pub mod flash;
pub mod keys;
pub mod lock;
pub mod payload;
pub mod publish;
pub mod release;
pub mod report;
pub mod run;
pub mod serve;
pub mod soak;
pub mod ssh;
pub mod test;
pub mod validate_config;
pub mod verify_release;

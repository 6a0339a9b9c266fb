//! The stages of the pipeline, one file each. Stages never call each other: `pipeline.rs` wires them.

pub mod agents;
pub mod disk;
pub mod fetch;
pub mod initrd;
pub mod manifest;
pub mod modules;
pub mod netboot;
pub mod owners;
pub mod payload;
pub mod rootfs;
pub mod sbom;
pub mod tools;
pub mod uki;
pub mod usr;

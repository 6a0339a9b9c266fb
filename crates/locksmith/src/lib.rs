//! The programs of reboot coordination: `locksmithd` reboots one machine of a group after the other, `locksmithctl`
//! shows and changes what they agree on.
//!
//! What is decided is in the crate `locksmith-core`; here is what is seen and done. `docs/operating/locksmith.md` is for
//! those who run machines.

pub mod agent;
pub mod coordinator;
pub mod ctl;
pub mod daemon;
pub mod flags;
pub mod fleet;
pub mod identity;
pub mod journal;
pub mod members;
pub mod notice;
pub mod programs;
pub mod sessions;
pub mod settings;
pub mod store;
pub mod system;
pub mod wish;

//! The update agent: what is offered is fetched, verified, written to the other slot, and judged by how it boots.
//!
//! `machine` decides, `driver` does; the commands of `slipway-update` are in `command`. See
//! `docs/operating/updates.md`.

pub mod apply;
pub mod clock;
pub mod command;
pub mod disk;
pub mod driver;
pub mod entries;
pub mod failed;
pub mod fetch;
pub mod files;
pub mod history;
pub mod last_good;
pub mod leftovers;
pub mod loader;
pub mod lock;
pub mod machine;
pub mod policy;
pub mod reboot;
pub mod settings;
pub mod source;
pub mod state;
pub mod status;
pub mod trust;

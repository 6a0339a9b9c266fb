//! What every agent knows of the machine it runs on: its files, its settings, its disk, its boot, and the
//! records of its tries.
//!
//! Each module is about one of them; paths of the machine go through [`host::Host`], so all of it runs on a folder
//! of files as well (feature `testing`).

pub mod boot;
pub mod dropins;
pub mod durable;
pub mod esp;
pub mod failures;
pub mod host;
pub mod sealed;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tools;
pub mod topology;
pub mod tries;

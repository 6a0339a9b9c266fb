//! The registry: what a fleet knows, as keys and values in etcd, and the API on it.
//!
//! `docs/formats/fleet-registry.md` lists keys and values. Everything that writes them is here, in [`crate::engine`] and
//! in [`crate::agent`]; each of these writes what the table there says, and nothing else.

mod errors;
mod keys;
mod read;
mod service;
mod sight;
mod understood;
mod values;

pub use keys::{Key, Keys};
pub use read::get_all;
pub use service::{Limits, Service};
pub use sight::Sight;
pub use understood::{Understood, understand_content, understand_unit};
pub use values::{
    ClaimValue, EntryValue, HoldValue, MachineValue, Marker, MetaValue, PlaceValue, RebalanceValue,
    StateValue, TermValue, UnitValue, ValueError, from_json, to_json,
};

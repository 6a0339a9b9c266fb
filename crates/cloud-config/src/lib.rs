//! cloud-config: from the bytes of a file to a machine that is what they say.
//!
//! [`read`] is the way from bytes to a checked model, [`plan`] from the model to actions, [`apply`] does them.
//! All but [`apply`] and [`facts`] work on values alone; `docs/decisions/2026-11-24-cloud-config.md` has the map.

pub mod apply;
pub mod check;
pub mod content;
pub mod document;
pub mod environment;
pub mod facts;
pub mod finding;
pub mod import;
pub mod merge;
pub mod metadata;
pub mod model;
pub mod names;
pub mod plan;
pub mod read;
pub mod schema;
pub mod settings;
pub mod source;
pub mod ssh_key;
pub mod substitute;
pub mod suggest;
pub mod yaml;

pub use finding::{Finding, Level, Position};
pub use read::{UserData, read};

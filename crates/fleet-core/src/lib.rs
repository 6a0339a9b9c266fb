//! All that fleet decides, without I/O and clocks: names, unit files, requirements, where units go, what an agent does.
//!
//! `docs/decisions/2026-11-28-fleet.md` says why things are as they are.

pub mod agent;
pub mod engine;
pub mod model;
pub mod moment;
pub mod name;
pub mod requirements;
pub mod unit_file;
pub mod utc;

//! The engine's rules, by example. The ids are those of the acceptance criteria.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod lab;
mod losses;
mod moves;
mod placement;

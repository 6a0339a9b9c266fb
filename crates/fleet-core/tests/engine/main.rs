//! The engine's rules, by example. The ids are those of the acceptance criteria.

mod lab;
mod losses;
mod moves;
mod placement;

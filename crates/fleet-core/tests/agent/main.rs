//! The agent's rules, by example. The ids are those of the acceptance criteria.

mod lab;
mod presence;
mod tasks;

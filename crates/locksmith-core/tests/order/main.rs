//! The order of a reboot, step by step.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod lab;
mod situations;
mod steps;

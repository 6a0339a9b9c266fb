//! All that locksmith decides, without I/O and clocks: the semaphore, windows, quorum, the order of a reboot.
//!
//! `docs/decisions/2026-11-29-locksmith.md` says why things are as they are.

pub mod order;
pub mod quorum;
pub mod report;
pub mod semaphore;
pub mod strategy;
pub mod versions;
pub mod window;

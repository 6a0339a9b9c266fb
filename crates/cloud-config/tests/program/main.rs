//! The program `slipway-cloudinit` on folders of files.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod acceptance;
mod boot;
mod hostile;
mod imports;
mod machine;
mod runs;

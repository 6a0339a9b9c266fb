//! Starts disk images under QEMU, with every program from a tools tree.

pub mod sandbox;

pub use sandbox::Sandbox;

//! Starts disk images under QEMU, with every program from a tools tree and none from the host.
//!
//! [`Sandbox`] runs a program of the tree; [`Machine`] says what the virtual machine is; [`Home`] is the folder
//! with its disk; [`Vm`] is the running machine, with its [`Console`], [`Qmp`] and [`Ssh`].

pub mod accel;
pub mod console;
pub mod disk;
mod fw_cfg;
pub mod home;
pub mod machine;
pub mod network;
pub mod qmp;
pub mod running;
pub mod sandbox;
pub mod ssh;
pub mod switch;
pub mod terminal;
mod timer;

pub use accel::Accel;
pub use console::Console;
pub use home::Home;
pub use machine::Machine;
pub use network::Network;
pub use qmp::Qmp;
pub use running::{Binds, Vm};
pub use sandbox::Sandbox;
pub use ssh::Ssh;
pub use switch::Switch;

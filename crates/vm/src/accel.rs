//! Chooses what runs the guest's instructions, by trying a tiny guest.
//!
//! `/dev/kvm` can exist, open and create a virtual machine and still not run an ordinary guest, so looking at
//! the device file decides nothing.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::Sandbox;

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accel {
    /// The processor itself.
    Kvm,
    /// QEMU's software emulation.
    Tcg,
}

impl std::fmt::Display for Accel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        })
    }
}

/// An accelerator and why it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What to use.
    pub accel: Accel,
    /// Why, for the user; empty where nothing is surprising.
    pub reason: String,
}

/// Why the tiny guest could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or process of the try failed.
    #[error("trying a guest under {accel}")]
    Try {
        /// What was tried.
        accel: Accel,
        /// What the host said.
        #[source]
        source: std::io::Error,
    },
}

/// How long the tiny guest may take; it needs about 0.1 s in software.
const PATIENCE: Duration = Duration::from_secs(2);
/// QEMU's exit status for the byte 0x10 on the debug-exit port: `(0x10 << 1) | 1`.
const GUEST_RAN: i32 = 33;
/// The guest enters long mode with paging, works on memory and leaves; source in `accel/probe.s`.
#[rustfmt::skip]
const PROBE: [u8; 174] = [
    0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0xfc, 0xbf, 0x00, 0x10, 0xb9, 0x00, 0x18, 0xf3, 0xab,
    0x66, 0xc7, 0x06, 0x00, 0x10, 0x03, 0x20, 0x00, 0x00, 0x66, 0xc7, 0x06, 0x00, 0x20, 0x03, 0x30,
    0x00, 0x00, 0x66, 0xc7, 0x06, 0x00, 0x30, 0x83, 0x00, 0x00, 0x00, 0x2e, 0x66, 0x0f, 0x01, 0x16,
    0xa8, 0x00, 0x66, 0xb8, 0x20, 0x00, 0x00, 0x00, 0x0f, 0x22, 0xe0, 0x66, 0xb8, 0x00, 0x10, 0x00,
    0x00, 0x0f, 0x22, 0xd8, 0x66, 0xb9, 0x80, 0x00, 0x00, 0xc0, 0x0f, 0x32, 0x66, 0x0d, 0x00, 0x01,
    0x00, 0x00, 0x0f, 0x30, 0x0f, 0x20, 0xc0, 0x66, 0x0d, 0x01, 0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0,
    0x66, 0xea, 0x68, 0xf0, 0x0f, 0x00, 0x08, 0x00, 0xbc, 0x00, 0x80, 0x00, 0x00, 0xb9, 0x00, 0x00,
    0x10, 0x00, 0xbf, 0x00, 0x00, 0x01, 0x00, 0x31, 0xc0, 0x01, 0xc8, 0x89, 0x07, 0x9c, 0x9d, 0xff,
    0xc9, 0x75, 0xf6, 0x31, 0xc0, 0x0f, 0xa2, 0x66, 0xba, 0xf4, 0x00, 0xb0, 0x10, 0xee, 0xf4, 0xeb,
    0xfd, 0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x9a, 0x20, 0x00, 0x0f, 0x00, 0x98, 0xf0, 0x0f, 0x00,
];
/// Offset of [`PROBE`] in the firmware image, which ends at 1 MiB in the guest.
const PROBE_OFFSET: usize = 0xf000;
/// Offset of the first instruction that a processor fetches.
const RESET_OFFSET: usize = 0xfff0;
/// `ljmp $0xff00, $0`, to [`PROBE`] at 0xff000.
const RESET: [u8; 5] = [0xea, 0x00, 0x00, 0x00, 0xff];

/// Returns KVM if it runs a tiny guest, and software emulation with the reason otherwise.
/// `dir` is a writable folder for the guest's firmware.
///
/// # Errors
/// Only when the try itself is impossible: a guest that does not run is an answer.
pub fn choose(sandbox: &Sandbox, dir: &Path) -> Result<Choice, Error> {
    if !Path::new("/dev/kvm").exists() {
        return Ok(Choice { accel: Accel::Tcg, reason: "this host has no /dev/kvm".to_owned() });
    }
    let attempt =
        try_guest(sandbox, dir, Accel::Kvm).map_err(|source| Error::Try { accel: Accel::Kvm, source })?;
    Ok(match attempt {
        Attempt::Ran => Choice { accel: Accel::Kvm, reason: String::new() },
        Attempt::Failed(why) => Choice { accel: Accel::Tcg, reason: why },
    })
}

/// What became of a tiny guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// It ran to its end.
    Ran,
    /// It did not, and why.
    Failed(String),
}

/// Runs the tiny guest under `accel`.
///
/// # Errors
/// When QEMU cannot be started or its firmware image cannot be written to `dir`.
pub fn try_guest(sandbox: &Sandbox, dir: &Path, accel: Accel) -> std::io::Result<Attempt> {
    std::fs::write(dir.join("probe.rom"), firmware())?;
    let mut command =
        sandbox.clone().without_network().ro_bind_at(dir, "/probe").command("qemu-system-x86_64");
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35", "-m", "16"]);
    command.args(["-accel", &accel.to_string(), "-bios", "/probe/probe.rom"]);
    command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let ended = wait_at_most(&mut child, PATIENCE)?;
    if ended == Some(GUEST_RAN) {
        return Ok(Attempt::Ran);
    }
    let mut stderr = String::new();
    if let Some(mut pipe) = child.stderr.take() {
        pipe.read_to_string(&mut stderr)?;
    }
    let last = stderr.lines().rev().find(|line| !line.contains("warning:") && !line.contains("signal"));
    Ok(Attempt::Failed(match (ended, last) {
        (None, _) => format!("a tiny guest under {accel} had not ended after {} s", PATIENCE.as_secs()),
        (Some(_), Some(line)) => format!("a tiny guest under {accel} did not start: {line}"),
        (Some(code), None) => format!("a tiny guest under {accel} ended with status {code}"),
    }))
}

/// Returns the exit status, or kills the child and returns nothing.
fn wait_at_most(child: &mut Child, patience: Duration) -> std::io::Result<Option<i32>> {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.code().unwrap_or(-1)));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

/// A firmware image of 64 KiB that ends at 4 GiB and, as a copy, at 1 MiB.
fn firmware() -> Vec<u8> {
    let mut rom = vec![0xff; 0x10000];
    rom[PROBE_OFFSET..PROBE_OFFSET + PROBE.len()].copy_from_slice(&PROBE);
    rom[RESET_OFFSET..RESET_OFFSET + RESET.len()].copy_from_slice(&RESET);
    rom
}

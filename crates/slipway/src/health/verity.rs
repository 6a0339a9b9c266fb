//! Health check: the kernel has met no block of `/usr` that does not verify.

use anyhow::Context;

use super::Look;
use super::last_good::LastGood;
use crate::tools;

/// Name of the device-mapper device of `/usr`.
const DEVICE: &str = "usr";

/// What the kernel says about the blocks of `/usr` it has read so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsrState {
    /// All of them verified.
    Verified,
    /// At least one did not.
    Corrupted,
}

/// Checks that `/usr` is verified.
pub fn check(_look: &Look<'_>, _seen: &mut LastGood) -> anyhow::Result<()> {
    match usr_state()? {
        UsrState::Verified => Ok(()),
        UsrState::Corrupted => anyhow::bail!("a block of /usr does not verify: its partition is corrupted"),
    }
}

/// Asks the kernel.
pub fn usr_state() -> anyhow::Result<UsrState> {
    parse(&tools::dmsetup_status(DEVICE)?)
}

/// Parses `<start> <length> verity V|C` (the kernel's Documentation/admin-guide/device-mapper/verity.rst).
fn parse(status: &str) -> anyhow::Result<UsrState> {
    let fields: Vec<&str> = status.split_whitespace().collect();
    match fields[..] {
        [_, _, "verity", "V", ..] => Ok(UsrState::Verified),
        [_, _, "verity", "C", ..] => Ok(UsrState::Corrupted),
        _ => Err(anyhow::anyhow!("`{}` is no status of verity", status.trim()))
            .context("parsing dmsetup status"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_verified_from_corrupted() {
        assert_eq!(parse("0 447040 verity V\n").unwrap(), UsrState::Verified);
        assert_eq!(parse("0 447040 verity C\n").unwrap(), UsrState::Corrupted);
        assert_eq!(parse("0 447040 verity V -\n").unwrap(), UsrState::Verified);
    }

    #[test]
    fn another_target_is_an_error() {
        for status in ["", "0 8 linear\n", "0 8 verity X\n"] {
            assert!(parse(status).is_err(), "{status}");
        }
    }
}

//! Arguments of the command that puts an image onto a device.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `flash`.
#[derive(Args, Clone, Debug)]
pub struct Flash {
    /// Device to write: /dev/sdX, /dev/disk/by-id/NAME, or a regular file made by `truncate`; without one, all that could be written are listed
    #[arg(value_name = "DEVICE")]
    pub device: Option<PathBuf>,
    /// Image to write: a .raw or .raw.zst, as a file or an http(s) URL, of a release [default: the newest build in target/image]
    #[arg(long, value_name = "FILE|URL")]
    pub image: Option<String>,
    /// Put this file on `oem`, from where the machine configures itself; it is checked before
    #[arg(long, value_name = "FILE")]
    pub cloud_config: Option<PathBuf>,
    /// Folder with the trusted keys of a release [default: the committed INSECURE development pair]
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// Do not ask for the device's name to be typed: for scripts
    #[arg(long)]
    pub yes: bool,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::flags::{Command, Xtask};

    #[test]
    fn the_command_takes_its_arguments() {
        let parse = |line: &str| match Xtask::try_parse_from(line.split(' ')).unwrap().command {
            Command::Flash(args) => args,
            _ => panic!("another command"),
        };
        assert_eq!(parse("xtask flash").device, None);
        let args = parse("xtask flash /dev/sdb --image http://h/a.raw.zst --cloud-config c.yml --yes");
        assert_eq!((args.device, args.yes), (Some(PathBuf::from("/dev/sdb")), true));
        assert!(Xtask::try_parse_from(["xtask", "flash", "/dev/sdb", "/dev/sdc"]).is_err());
    }
}

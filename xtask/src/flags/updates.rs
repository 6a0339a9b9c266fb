//! Arguments of the commands that sign, check and publish updates.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Arguments of `keys`.
#[derive(Args, Clone, Debug)]
pub struct Keys {
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// What to do with keys.
#[derive(Clone, Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a pair of keys: NAME.key signs, NAME.pub is trusted
    New {
        /// Folder for both files
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Name of the files
        #[arg(long, value_name = "NAME", default_value = "update")]
        name: String,
    },
    /// List the keys of a folder: id, whether trusted, signing or retired, file
    List {
        /// Folder of the keys [default: the committed INSECURE development pair]
        #[arg(long, value_name = "DIR")]
        keys: Option<PathBuf>,
    },
    /// Print the public file that belongs to a secret key
    Public {
        /// The secret key
        #[arg(value_name = "FILE.key")]
        file: PathBuf,
    },
    /// Retire a key: images built from now on do not trust it
    Retire {
        /// Id of the key, or its file
        #[arg(value_name = "ID|FILE")]
        key: String,
        /// Folder of the keys [default: the committed INSECURE development pair]
        #[arg(long, value_name = "DIR")]
        keys: Option<PathBuf>,
    },
}

/// Arguments of `payload`.
#[derive(Args, Clone, Debug)]
pub struct Payload {
    #[command(subcommand)]
    pub command: PayloadCommand,
}

/// What to do with a payload.
#[derive(Clone, Debug, Subcommand)]
pub enum PayloadCommand {
    /// Show what a payload says of itself; nothing of it is checked
    Inspect {
        /// The payload
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print the signed manifest and the signers as JSON
        #[arg(long)]
        json: bool,
    },
    /// Check signatures and every byte of a payload
    Verify {
        /// The payload
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Folder with the trusted keys [default: the committed INSECURE development pair]
        #[arg(long, value_name = "DIR")]
        keys: Option<PathBuf>,
    },
}

/// Arguments of `publish`.
#[derive(Args, Clone, Debug)]
pub struct Publish {
    /// Channel that offers the payload
    #[arg(long, value_name = "NAME")]
    pub channel: String,
    /// Folder that a static web server serves
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Payload to offer [default: that of the newest build in target/image]
    #[arg(long, value_name = "FILE")]
    pub payload: Option<PathBuf>,
    /// Folder of the keys that sign [default: the committed INSECURE development pair]
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// Sequence of the channel file [default: one more than that of the published one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub sequence: Option<u64>,
    /// Days until machines stop to believe the channel file
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub expires_days: u64,
    /// A share of the machines: begin and length as `90m`, `12h` or `2d`, and percent (may be given several times)
    #[arg(long, value_name = "START,DURATION,PERCENT")]
    pub wave: Vec<String>,
    /// Where else the payload is, in the order to try; a URL that ends in `/` is that of its folder (may be given several times) [default: payloads/ beside channels/]
    #[arg(long, value_name = "URL")]
    pub url: Vec<String>,
    /// Offer an older version than the one on offer
    #[arg(long)]
    pub allow_older: bool,
}

/// Arguments of `serve`.
#[derive(Args, Clone, Debug)]
pub struct Serve {
    /// Folder to serve
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Port to listen on; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub port: u16,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub address: IpAddr,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::flags::{Command, Xtask};

    #[test]
    fn the_commands_take_their_arguments() {
        Xtask::command().debug_assert();
        let line =
            "xtask publish --channel stable --to site --wave 0,1h,10 --wave 1d,1h,90 --url http://a/ --url b";
        let Command::Publish(args) = Xtask::try_parse_from(line.split(' ')).unwrap().command else {
            panic!("another command")
        };
        assert_eq!((args.wave.len(), args.url.len(), args.expires_days), (2, 2, 30));
        let line = "xtask keys retire a.pub --keys keys";
        let Command::Keys(args) = Xtask::try_parse_from(line.split(' ')).unwrap().command else {
            panic!("another command")
        };
        assert!(matches!(args.command, KeysCommand::Retire { key, .. } if key == "a.pub"));
        for wrong in [
            "xtask publish --channel x",
            "xtask keys",
            "xtask serve",
            "xtask publish --channel x --to y --sequence 0",
        ] {
            assert!(Xtask::try_parse_from(wrong.split(' ')).is_err(), "{wrong}");
        }
    }
}

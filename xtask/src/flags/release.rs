//! Arguments of `release` and `verify-release`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `release`.
#[derive(Args, Clone, Debug)]
pub struct Release {
    /// Folder with the public keys that the image trusts and the secret keys that sign the release
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// Folder to make; it must not be there yet [default: target/releases/PRODUCT_VERSION]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Version of the image: N.N.N or N.N.N~word.N [default: the workspace's version]
    #[arg(long, value_name = "V")]
    pub version: Option<slots::Version>,
    /// The release before this one: its folder or its build manifest [default: the highest lower version beside the
    /// new folder]
    #[arg(long, value_name = "DIR|FILE")]
    pub previous: Option<PathBuf>,
    /// Channel that offers the version
    #[arg(long, value_name = "NAME", default_value = "stable")]
    pub channel: String,
    /// Sequence of the channel file [default: one more than that of the previous release, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub sequence: Option<u64>,
    /// Days until machines stop to believe the channel file
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub expires_days: u64,
    /// Put the source packages into the folder too
    #[arg(long)]
    pub sources: bool,
    /// URI of who builds, for the provenance
    #[arg(long, value_name = "URI", default_value = "urn:slipway:builder:unnamed")]
    pub builder: String,
    /// Base URL below which debian/ and debian-security/ lie [env: SLIPWAY_MIRROR]
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
}

/// Arguments of `verify-release`.
#[derive(Args, Clone, Debug)]
pub struct VerifyRelease {
    /// The release's folder
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Folder with the public keys that are trusted [default: those in the release, which says nothing of who made it]
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// Build it again from the commit that it names, with its own packages, and compare
    #[arg(long)]
    pub rebuild: bool,
    /// Base URL below which debian/ and debian-security/ lie, for tools that the release has not [env: SLIPWAY_MIRROR]
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
}

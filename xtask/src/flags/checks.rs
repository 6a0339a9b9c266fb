//! Arguments of the commands that check, measure and report.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `report`.
#[derive(Args, Clone, Debug, Default)]
pub struct Report {
    /// Build manifest to show [default: that of the newest image in target/image]
    #[arg(value_name = "MANIFEST")]
    pub manifest: Option<PathBuf>,
    /// Build manifest to compare with
    #[arg(long, value_name = "MANIFEST")]
    pub against: Option<PathBuf>,
    /// Where to write the page [default: report.html beside the manifest]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

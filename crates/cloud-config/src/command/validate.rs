//! `slipway-cloudinit validate`: what is to be said about a file.

use cloud_config::finding::{Level, worst};
use cloud_config::read::validate;

use crate::command::{Exit, read};
use crate::flags::Validate;

/// Prints a line for each finding.
pub fn run(args: &Validate) -> anyhow::Result<Exit> {
    let findings = validate(&read(&args.file)?);
    for finding in &findings {
        println!("{}", finding.line(&args.file.display().to_string()));
    }
    Ok(match worst(&findings) {
        Some(Level::Error) => Exit::Failed,
        Some(Level::Warning) => Exit::Warned,
        Some(Level::Info) | None => Exit::Done,
    })
}

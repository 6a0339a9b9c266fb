//! `cargo xtask validate-config`: checks a cloud-config as the machine does.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use cloud_config::finding::{Finding, Level, worst};
use cloud_config::read::validate;

use crate::flags;
use crate::log::Log;

/// Only warnings: nothing that keeps a file from being applied.
const WARNED: u8 = 3;

/// Prints `FILE:LINE:COLUMN: level: message` for each finding.
pub fn run(args: &flags::ValidateConfig) -> anyhow::Result<ExitCode> {
    let name = args.file.display().to_string();
    let bytes = fs::read(&args.file).with_context(|| format!("reading {name}"))?;
    let findings = validate(&bytes);
    findings.iter().for_each(|finding| println!("{}", finding.line(&name)));
    Ok(exit_code(&findings))
}

/// Returns the bytes of a file that a machine would take; says what is to be said about it.
pub fn checked(log: &Log, path: &Path) -> anyhow::Result<Vec<u8>> {
    let name = path.display().to_string();
    let bytes = fs::read(path).with_context(|| format!("reading {name}"))?;
    let findings = validate(&bytes);
    findings.iter().for_each(|finding| log.line(&finding.line(&name)));
    ensure!(
        worst(&findings) != Some(Level::Error),
        "{name} has errors and would change nothing: correct them first"
    );
    Ok(bytes)
}

fn exit_code(findings: &[Finding]) -> ExitCode {
    match worst(findings) {
        Some(Level::Error) => ExitCode::FAILURE,
        Some(Level::Warning) => ExitCode::from(WARNED),
        Some(Level::Info) | None => ExitCode::SUCCESS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_warnings_have_exit_codes_of_their_own() {
        let code = |text: &str| exit_code(&validate(text.as_bytes()));
        assert_eq!(code("#cloud-config\nhostname: a\n"), ExitCode::SUCCESS);
        assert_eq!(code("#cloud-config\nhostnmae: a\n"), ExitCode::from(3));
        assert_eq!(code("#cloud-config\nhostname: [a]\n"), ExitCode::FAILURE);
    }
}

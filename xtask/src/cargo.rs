//! Runs cargo on this workspace, as a child that knows nothing of the cargo that started this program.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::checks::Counts;
use crate::ctx::Ctx;

/// Variables for cargo that people set; the others were set by the cargo that started this program.
const KEPT: [&str; 2] = ["CARGO_HOME", "CARGO_INCREMENTAL"];

/// Returns `cargo` in the checkout with what the caller's cargo set taken away.
pub fn command(ctx: &Ctx, args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_") && !KEPT.contains(&text.as_ref()) {
            command.env_remove(&name);
        }
    }
    command.current_dir(&ctx.repo).env("CARGO_TARGET_DIR", &ctx.target).args(args).stdin(Stdio::null());
    command
}

/// Runs a cargo command whose exit code is all that matters.
pub fn run(ctx: &Ctx, args: &[&str]) -> anyhow::Result<()> {
    let status = command(ctx, args).status().context("starting cargo")?;
    anyhow::ensure!(status.success(), "`cargo {}` failed; its words are above", args.join(" "));
    Ok(())
}

/// Runs programs that print test results, passes their words on, and counts.
///
/// An exit code that says failure without a failed test, as for a compiler error, is an error.
pub fn counted(command: Command, what: &str) -> anyhow::Result<Counts> {
    counted_and_read(command, what, |_| ())
}

/// Does what [`counted`] does, and gives each line to `read`.
pub fn counted_and_read(
    mut command: Command,
    what: &str,
    mut read: impl FnMut(&str),
) -> anyhow::Result<Counts> {
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("starting {what}"))?;
    let stdout = child.stdout.take().with_context(|| format!("reading what {what} prints"))?;
    let mut counts = Counts::default();
    for line in BufReader::new(stdout).lines() {
        let line = line.with_context(|| format!("reading what {what} prints"))?;
        println!("{line}");
        read(&line);
        if let Some(found) = counts_of(&line) {
            counts = counts.and(found);
        }
    }
    let status = child.wait().with_context(|| format!("waiting for {what}"))?;
    anyhow::ensure!(status.success() || counts.failed > 0, "{what} failed ({status}); its words are above");
    anyhow::ensure!(counts != Counts::default(), "{what} ran no test: is the filter right?");
    Ok(counts)
}

/// Reads `test result: ok. 3 passed; 0 failed; …` of libtest and `3 passed, 0 failed` of our own programs.
fn counts_of(line: &str) -> Option<Counts> {
    let rest = match line.strip_prefix("test result: ") {
        Some(rest) => rest.split_once(". ")?.1,
        None => line,
    };
    let (passed, rest) = rest.split_once(" passed")?;
    let failed = rest.trim_start_matches([';', ',', ' ']).split_once(" failed")?.0;
    Some(Counts { passed: passed.parse().ok()?, failed: failed.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_results_of_libtest_and_of_our_own() {
        let cases = [
            ("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out", Some((3, 0))),
            ("test result: FAILED. 3 passed; 2 failed; 0 ignored", Some((3, 2))),
            ("12 passed, 1 failed (310 s)", Some((12, 1))),
            ("12 passed, 1 failed", Some((12, 1))),
            ("a scenario says 12 passed, 1 failed", None),
            ("test x ... ok", None),
        ];
        for (line, expected) in cases {
            let expected = expected.map(|(passed, failed)| Counts { passed, failed });
            assert_eq!(counts_of(line), expected, "{line}");
        }
    }

    #[test]
    fn a_program_that_fails_without_a_failed_test_is_an_error() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo 'test result: ok. 1 passed; 0 failed;'; exit 3"]);
        assert!(counted(command, "the program").unwrap_err().to_string().contains("exit status: 3"));
    }

    #[test]
    fn a_program_without_tests_is_an_error() {
        let err = counted(Command::new("/bin/true"), "the program").unwrap_err();
        assert!(err.to_string().contains("ran no test"), "{err}");
    }
}

//! The program under its old name.

use cloud_config::read::validate;

use crate::command::{Exit, apply, read};
use crate::flags::{Apply, Original};

/// Checks or applies one file.
pub fn run(args: &Original) -> anyhow::Result<Exit> {
    if args.validate {
        let findings = validate(&read(&args.from_file)?);
        findings.iter().for_each(|finding| println!("{}", finding.line_of_old()));
        return Ok(if findings.is_empty() { Exit::Done } else { Exit::Failed });
    }
    let exit = apply::run(&Apply {
        file: args.from_file.clone(),
        root: "/".into(),
        dry_run: false,
        fetch_keys: true,
        metadata: None,
        allow_empty_vars: false,
        ssh_key_name: args.ssh_key_name.clone(),
    });
    match exit {
        Err(err) if args.ignore_failure => {
            eprintln!("error: {err:#}");
            Ok(Exit::Done)
        }
        Ok(_) if args.ignore_failure => Ok(Exit::Done),
        exit => exit,
    }
}

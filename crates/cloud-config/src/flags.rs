//! The command line: the only file that knows the parser.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

use cloud_config::plan::{KEY_SET, METADATA_SET};

/// The program's old name.
const ORIGINAL: &str = "coreos-cloudinit";

/// Makes a machine what its cloud-config says.
#[derive(Debug, Parser)]
#[command(name = "slipway-cloudinit", version, propagate_version = true)]
pub struct Flags {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a file and change nothing: exit code 0 if it is right, 1 with errors, 3 with warnings alone.
    Validate(Validate),
    /// Make the machine what a file says; a file with an error changes nothing.
    Apply(Apply),
    /// Do what a machine does at each start: the OEM's file, and the user data of one source on top.
    Boot(Boot),
}

/// Arguments of `validate`.
#[derive(Debug, Args)]
pub struct Validate {
    /// The file; `-` is standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Arguments of `apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// The file; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
    /// Work on the files below this folder; programs of the machine are listed and not run.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Print what would be done, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Fetch keys that are elsewhere, below another root too.
    #[arg(long)]
    pub fetch_keys: bool,
    /// What is known of the machine, as JSON: hostname, public_keys, private_ipv4 and its kin.
    #[arg(long, value_name = "FILE")]
    pub metadata: Option<PathBuf>,
    /// Replace variables without a value by nothing, in place of refusing the file.
    #[arg(long)]
    pub allow_empty_vars: bool,
    /// Name of the key set of the keys in the file.
    #[arg(long, value_name = "NAME", default_value = KEY_SET, value_parser = key_set)]
    pub ssh_key_name: String,
}

/// Arguments of `boot`.
#[derive(Debug, Args)]
pub struct Boot {
    /// Whether the network is there.
    #[arg(long, value_name = "STAGE")]
    pub stage: Stage,
    /// Work on the files below this folder; programs of the machine are listed and not run.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
}

/// When in a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// Before the network: what needs none.
    Local,
    /// After it: the rest.
    Network,
}

/// Clouds that the original knew by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// DigitalOcean.
    Digitalocean,
    /// Amazon EC2 and what is like it.
    Ec2Compat,
    /// Google Compute Engine.
    Gce,
}

/// The flags of the original, as far as they are there.
#[derive(Debug, Parser)]
#[command(name = ORIGINAL, version, group = ArgGroup::new("source").required(true).multiple(true))]
pub struct Original {
    /// Read the user data from this file.
    #[arg(long, value_name = "FILE", group = "source")]
    pub from_file: Option<PathBuf>,
    /// Fetch the user data.
    #[arg(long, value_name = "URL", group = "source")]
    pub from_url: Option<String>,
    /// Read user data and metadata from a config drive that is mounted there.
    #[arg(long, value_name = "DIR", group = "source")]
    pub from_configdrive: Option<String>,
    /// Fetch the user data from where the kernel's command line says: cloud-config-url=URL.
    #[arg(long, group = "source")]
    pub from_proc_cmdline: bool,
    /// Ask a metadata service that is like Amazon EC2's.
    #[arg(long, value_name = "URL", group = "source")]
    pub from_ec2_metadata: Option<String>,
    /// Ask a metadata service that is like Google Compute Engine's.
    #[arg(long, value_name = "URL", group = "source")]
    pub from_gce_metadata: Option<String>,
    /// Ask a metadata service that is like DigitalOcean's.
    #[arg(long, value_name = "URL", group = "source")]
    pub from_digitalocean_metadata: Option<String>,
    /// Ask the metadata service of a cloud where it always is.
    #[arg(long, value_name = "NAME", group = "source")]
    pub oem: Option<Preset>,
    /// Work on the files below this folder; programs of the machine are listed and not run.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Check the user data and change nothing; exit code 1 if there is anything to say.
    #[arg(long)]
    pub validate: bool,
    /// Exit code 0 even if the user data is wrong.
    #[arg(long)]
    pub ignore_failure: bool,
    /// Name of the key set of the keys in the file.
    #[arg(long, value_name = "NAME", default_value = KEY_SET, value_parser = key_set)]
    pub ssh_key_name: String,
}

/// Tells whether the program was called by its old name.
pub fn is_original(arguments: &[OsString]) -> bool {
    arguments.first().is_some_and(|name| Path::new(name).file_name().is_some_and(|name| name == ORIGINAL))
}

/// Gives flags of one dash, as Go's programs take them, two.
pub fn with_two_dashes(arguments: Vec<OsString>) -> impl Iterator<Item = OsString> {
    arguments.into_iter().map(|argument| {
        let flag = argument.to_str().and_then(|text| text.strip_prefix('-'));
        match flag.filter(|flag| flag.len() > 1 && flag.starts_with(|c: char| c.is_ascii_alphabetic())) {
            Some(flag) => format!("--{flag}").into(),
            None => argument,
        }
    })
}

/// The set is a file in a user's folder.
fn key_set(name: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name == METADATA_SET {
        return Err("this is the set of the metadata's keys".to_owned());
    }
    if !name.is_empty() && name.len() <= 64 && !name.starts_with('.') && name.bytes().all(allowed) {
        Ok(name.to_owned())
    } else {
        Err("1 to 64 of a-z, A-Z, 0-9, `-`, `_` and `.`, not `.` first".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn the_parsers_are_consistent() {
        Flags::command().debug_assert();
        Original::command().debug_assert();
    }

    #[test]
    fn the_old_name_takes_flags_with_one_dash_or_two() {
        assert!(is_original(&words("/usr/bin/coreos-cloudinit -version")));
        assert!(!is_original(&words("slipway-cloudinit")));
        for line in ["x -validate -from-file=/a", "x --validate --from-file /a", "x -from-file /a -validate"]
        {
            let flags = Original::try_parse_from(with_two_dashes(words(line))).unwrap();
            assert!(flags.validate && flags.from_file.as_deref() == Some(Path::new("/a")), "{line}");
        }
        for line in ["x", "x -validate", "x -from-file=/a -nonsense", "x -oem=nowhere"] {
            assert!(Original::try_parse_from(with_two_dashes(words(line))).is_err(), "{line}");
        }
    }

    #[test]
    fn key_sets_are_names_of_files() {
        assert!(key_set("coreos-cloudinit").is_ok());
        for wrong in ["", "..", "a/b", ".a", "metadata"] {
            assert!(key_set(wrong).is_err(), "{wrong}");
        }
    }
}

//! What all ways to apply a configuration have in common: from user data to a plan, its steps, and the status.

use anyhow::Context as _;

use cloud_config::apply::manifest::sha256;
use cloud_config::apply::status::{self, Outcome, Step};
use cloud_config::apply::tree::{Mood, Tree};
use cloud_config::apply::{Listed, Machine, System, apply};
use cloud_config::import::Importer;
use cloud_config::metadata::{Addresses, Metadata};
use cloud_config::model::Config;
use cloud_config::plan::{Inputs, Part, Stale, plan};
use cloud_config::settings::Settings;
use cloud_config::substitute::Unknown;
use cloud_config::{UserData, facts, read};

use crate::command::Exit;

/// One run at a time: two would take each other's files away.
pub const LOCK: &str = "/run/slipway/cloudinit.lock";

/// User data that was read.
#[derive(Debug, Default)]
pub struct Wanted {
    /// What it says; nothing if it is wrong or a script.
    pub config: Config,
    /// What it is, if it is a script.
    pub script: Option<String>,
    /// What was said about it.
    pub findings: Vec<String>,
    /// Whether all of it counts.
    pub verdict: Verdict,
}

/// Whether user data counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    #[default]
    Right,
    /// It has errors.
    Wrong,
    /// It is for another program.
    Foreign,
}

impl Wanted {
    /// Reads user data and prints what is to be said about it; `name` is where it is from.
    pub fn read(bytes: &[u8], addresses: &Addresses, unknown: Unknown, name: &str) -> Self {
        let (data, findings) = read(bytes, addresses, unknown);
        let findings: Vec<_> = findings.iter().map(|finding| finding.line(name)).collect();
        findings.iter().for_each(|line| eprintln!("{line}"));
        let wanted = Self { findings, ..Self::default() };
        match data {
            None => Self { verdict: Verdict::Wrong, ..wanted },
            Some(UserData::Ignition) => {
                println!("Detected an Ignition config. Exiting...");
                Self { verdict: Verdict::Foreign, ..wanted }
            }
            Some(UserData::Script(text)) => Self { script: Some(text), ..wanted },
            Some(UserData::Config(config)) => Self { config: *config, ..wanted },
        }
    }
}

/// A run.
#[derive(Debug)]
pub struct Run<'a> {
    /// The files.
    pub tree: &'a Tree,
    /// Whether to do it.
    pub mood: Mood,
    /// How long things may take.
    pub settings: &'a Settings,
    /// Whether keys are fetched below another root.
    pub fetches: Fetches,
    /// Where the user data is from.
    pub source: &'a str,
    /// The user data.
    pub bytes: &'a [u8],
    /// What the place says.
    pub metadata: &'a Metadata,
    /// Name of the file's key set.
    pub key_set: &'a str,
    /// Which part of it.
    pub part: Part,
    /// What becomes of what earlier configurations made.
    pub stale: Stale,
    /// Whether there is more to do after the network.
    pub is_later: bool,
    /// Name of the file that gets the status.
    pub status: &'a str,
}

/// Whether keys that are elsewhere are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetches {
    /// For this machine and for another root.
    Always,
    /// Only for this machine.
    Here,
}

/// Plans, does the steps, prints them and records the status.
pub fn perform(run: &Run<'_>, wanted: &Wanted) -> anyhow::Result<Exit> {
    let Run { tree, mood, metadata, key_set, .. } = *run;
    let Wanted { config, script, .. } = wanted;
    let facts = facts::read(tree, config).context("looking at the machine")?;
    let mut plan = plan(Inputs { config, script: script.as_deref(), metadata, facts: &facts, key_set });
    plan.narrow(run.part, run.stale, &facts.made, run.is_later);
    plan.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    let keys = Importer::new(tree.root(), run.settings.imports);
    let machine: &mut dyn Machine = if tree.is_host() {
        &mut System { keys }
    } else {
        &mut Listed { keys: (run.fetches == Fetches::Always).then_some(keys) }
    };
    let steps = apply(tree, &plan, machine, mood)?;
    steps.iter().for_each(|step| println!("{}", shown(step, mood)));
    if mood == Mood::Do {
        let said = [&wanted.findings[..], &plan.warnings].concat();
        status::write(tree, run.status, run.source, &sha256(run.bytes), &said, &steps)?;
    }
    Ok(if status::has_failed(&steps) { Exit::Failed } else { Exit::Done })
}

/// Shows a step; one that only would be done as what it is.
fn shown(step: &Step, mood: Mood) -> String {
    match (mood, &step.outcome) {
        (Mood::Look, Outcome::Done) => step.what.clone(),
        (Mood::Look, Outcome::Unchanged) => format!("{} (nothing to do)", step.what),
        _ => step.to_string(),
    }
}

//! `slipway-cloudinit apply`: makes the machine what a file says, or prints what that takes.

use agent_support::host::Host;
use anyhow::Context;

use cloud_config::apply::manifest::sha256;
use cloud_config::apply::status::{self, Outcome, Step};
use cloud_config::apply::tree::{Mood, Tree};
use cloud_config::apply::{Listed, Machine, System, apply};
use cloud_config::facts;
use cloud_config::finding::Finding;
use cloud_config::import::Importer;
use cloud_config::metadata::Metadata;
use cloud_config::model::Config;
use cloud_config::plan::{Inputs, plan};
use cloud_config::settings;
use cloud_config::substitute::Unknown;
use cloud_config::{UserData, read};

use crate::command::{self, Exit};
use crate::flags::Apply;

/// One run at a time: two would take each other's files away.
const LOCK: &str = "/run/slipway/cloudinit.lock";

/// Reads, plans and applies one file.
pub fn run(args: &Apply) -> anyhow::Result<Exit> {
    let bytes = command::read(&args.file)?;
    let mut metadata = match &args.metadata {
        Some(path) => {
            Metadata::parse(&command::read(path)?).with_context(|| format!("in {}", path.display()))?
        }
        None => Metadata::default(),
    };
    metadata.addresses = metadata.addresses.or_environment(|name| std::env::var(name).ok());
    let unknown = if args.allow_empty_vars { Unknown::Empty } else { Unknown::Refuse };
    let (data, findings) = read(&bytes, &metadata.addresses, unknown);
    let file = args.file.display().to_string();
    say(&findings, &file);
    let Some(data) = data else {
        eprintln!("error: {file} has errors: nothing was changed");
        return Ok(Exit::Failed);
    };
    let tree = Tree::open(&args.root)?;
    let mood = if args.dry_run { Mood::Look } else { Mood::Do };
    let _lock = if mood == Mood::Do { Some(tree.lock(LOCK)?) } else { None };
    let nothing = Config::default();
    // The place's name and keys count whatever the user data is.
    let (config, script) = match &data {
        UserData::Ignition => {
            println!("Detected an Ignition config. Exiting...");
            return Ok(Exit::Done);
        }
        UserData::Script(text) => (&nothing, Some(text.as_str())),
        UserData::Config(config) => (&**config, None),
    };
    let facts = facts::read(&tree, config).context("looking at the machine")?;
    let plan =
        plan(Inputs { config, script, metadata: &metadata, facts: &facts, key_set: &args.ssh_key_name });
    plan.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    let (settings, wrong) = settings::read(&Host::new(args.root.clone()));
    wrong.iter().for_each(|wrong| eprintln!("warning: {wrong}"));
    let keys = Importer::new(&args.root, settings.imports);
    let machine: &mut dyn Machine = if tree.is_host() {
        &mut System { keys }
    } else {
        &mut Listed { keys: args.fetch_keys.then_some(keys) }
    };
    let steps = apply(&tree, &plan, machine, mood)?;
    steps.iter().for_each(|step| println!("{}", shown(step, mood)));
    if mood == Mood::Do {
        let lines: Vec<_> = findings.iter().map(|finding| finding.line(&file)).collect();
        status::write(&tree, &file, &sha256(&bytes), &[lines, plan.warnings].concat(), &steps)?;
    }
    Ok(if status::has_failed(&steps) { Exit::Failed } else { Exit::Done })
}

fn say(findings: &[Finding], file: &str) {
    findings.iter().for_each(|finding| eprintln!("{}", finding.line(file)));
}

/// Shows a step; one that only would be done as what it is.
fn shown(step: &Step, mood: Mood) -> String {
    match (mood, &step.outcome) {
        (Mood::Look, Outcome::Done) => step.what.clone(),
        (Mood::Look, Outcome::Unchanged) => format!("{} (nothing to do)", step.what),
        _ => step.to_string(),
    }
}

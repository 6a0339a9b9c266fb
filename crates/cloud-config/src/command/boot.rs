//! `slipway-cloudinit boot`: what a machine does at each start, once before the network and once after.
//!
//! The file of the OEM is the base, and the user data of one source goes on top; both are one run, or each would
//! take the other's files away. What is applied before the network is not done again after it.

mod decision;

use std::time::Instant;

use agent_support::host::Host;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use cloud_config::apply::STATE;
use cloud_config::apply::status;
use cloud_config::apply::tree::{Found as File, Mood, Tree};
use cloud_config::merge::merge;
use cloud_config::metadata::Metadata;
use cloud_config::plan::{KEY_SET, Stale};
use cloud_config::settings::{self, Settings};
use cloud_config::source::{self, Found, Given, Reach, oem};
use cloud_config::substitute::Unknown;

use self::decision::{Came, Decision, Situation, decide};
use super::perform::{Fetches, LOCK, Run, Verdict, Wanted, perform};
use crate::command::Exit;
use crate::flags::{Boot, Stage};

/// What the first stage of this boot did, for the second.
const RECORD: &str = "/run/slipway/cloudinit-local.json";
/// The base's name where sources have theirs.
const OEM: &str = "oem";

/// What the first stage did.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    /// The source whose user data it applied.
    source: Option<String>,
    /// Whether it applied the base.
    oem: bool,
}

/// Does one stage.
pub fn run(args: &Boot) -> anyhow::Result<Exit> {
    let host = Host::new(args.root.clone());
    let tree = Tree::open(&args.root)?;
    let _lock = tree.lock(LOCK)?;
    let (settings, wrong) = settings::read(&host);
    let (found, unreadable) = match args.stage {
        Stage::Local => source::find_settled(&host),
        Stage::Network => source::find(&host),
    };
    wrong.iter().chain(&unreadable).for_each(|wrong| eprintln!("warning: {wrong}"));
    let name = found.as_ref().map_or(OEM.to_owned(), |found| format!("{} {}", found.source.name, found.at));
    let record = match args.stage {
        Stage::Local => Record::default(),
        Stage::Network => Record::read(&tree)?,
    };
    let answer = ask(args, found, &name, &settings);
    let (bytes, mut metadata) = match &answer {
        Ok(given) => (given.user_data.as_slice(), given.metadata.clone()),
        Err(_) => (&[][..], Metadata::default()),
    };
    metadata.addresses = metadata.addresses.or_environment(|name| std::env::var(name).ok());
    let base = base(&host, &metadata)?;
    let top = Wanted::read(bytes, &metadata.addresses, Unknown::Refuse, &name);
    let base_verdict = base.as_ref().map(|base| base.verdict);
    let came = match &answer {
        Ok(_) => Came::Given(top.verdict),
        Err(came) => *came,
    };
    if (base_verdict, came) == (Some(Verdict::Wrong), Came::Later) {
        println!("{} waits for the network: its addresses may come with it", oem::FILE);
    }
    let Decision { part, stale, fails } = decide(Situation {
        stage: args.stage,
        came,
        base: base_verdict,
        top_is_applied: record.source.as_ref() == Some(&name),
        base_is_applied: record.oem,
        had_source: last_source(&tree)?.is_some_and(|last| last != OEM),
    });
    let run = Run {
        tree: &tree,
        mood: Mood::Do,
        settings: &settings,
        fetches: Fetches::Always,
        source: if answer.is_ok() { &name } else { OEM },
        bytes,
        metadata: &metadata,
        key_set: KEY_SET,
        part,
        stale,
        is_later: came == Came::Later,
        status: match args.stage {
            Stage::Local => status::LOCAL,
            Stage::Network => status::NETWORK,
        },
    };
    let exit = perform(&run, &on_top(base, top, &record))?;
    if stale == Stale::Remove {
        tree.write(&last_source_file(), name.as_bytes(), 0o600, None, Mood::Do)?;
    }
    if args.stage == Stage::Local {
        let source = (came == Came::Given(Verdict::Right)).then_some(name);
        Record { source, oem: base_verdict == Some(Verdict::Right) }.write(&tree)?;
    }
    Ok(if fails { Exit::Failed } else { exit })
}

/// Asks the source, if this stage may; says why there is no answer.
fn ask(args: &Boot, found: Option<Found>, name: &str, settings: &Settings) -> Result<Given, Came> {
    let Some(found) = found else {
        println!("this machine has no source of user data");
        return Err(Came::None);
    };
    if args.stage == Stage::Local && found.source.reach == Reach::Network {
        println!("{name} waits for the network");
        return Err(Came::Later);
    }
    let end = Instant::now() + settings.source;
    let answer = match found.source.reach {
        Reach::Local => source::once(&found, &args.root, end).map_err(|err| vec![format!("{err:#}")]),
        Reach::Network => source::first(&[found], &args.root, end).map(|(_, given)| given),
    };
    answer.map_err(|said| {
        eprintln!("error: {name} gives nothing");
        said.iter().for_each(|said| eprintln!("error: {said}"));
        Came::Fails
    })
}

/// Reads the base.
fn base(host: &Host, metadata: &Metadata) -> anyhow::Result<Option<Wanted>> {
    let Some(bytes) = oem::read(host)? else { return Ok(None) };
    let mut base = Wanted::read(&bytes, &metadata.addresses, Unknown::Refuse, oem::FILE);
    if base.script.take().is_some() {
        eprintln!("{}:1:1: error: a script is no base for a configuration", oem::FILE);
        base.verdict = Verdict::Wrong;
    }
    Ok(Some(base))
}

/// Puts user data on the base. What the first stage told the service manager of the base is not told again.
fn on_top(base: Option<Wanted>, top: Wanted, record: &Record) -> Wanted {
    let Some(mut base) = base else { return top };
    if record.oem {
        base.config.units.iter_mut().for_each(|unit| unit.command = None);
    }
    let findings = base.findings.into_iter().chain(top.findings).collect();
    Wanted { config: merge(base.config, top.config), findings, ..top }
}

/// The file that names the source of the last whole configuration.
fn last_source_file() -> String {
    format!("{STATE}/source")
}

fn last_source(tree: &Tree) -> anyhow::Result<Option<String>> {
    let File::File(file) = tree.find(&last_source_file())? else { return Ok(None) };
    Ok(Some(String::from_utf8_lossy(&file.bytes).into_owned()))
}

impl Record {
    /// Reads it; without one nothing was done.
    fn read(tree: &Tree) -> anyhow::Result<Self> {
        let File::File(file) = tree.find(RECORD)? else { return Ok(Self::default()) };
        serde_json::from_slice(&file.bytes).with_context(|| format!("parsing {RECORD}"))
    }

    fn write(&self, tree: &Tree) -> anyhow::Result<()> {
        let text = serde_json::to_string(self).context("writing what the first stage did")?;
        tree.write(RECORD, text.as_bytes(), 0o600, None, Mood::Do).map(drop)
    }
}

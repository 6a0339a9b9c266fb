//! `slipway-cloudinit apply`: makes the machine what a file says, or prints what that takes.

use agent_support::host::Host;
use anyhow::Context;

use cloud_config::apply::status;
use cloud_config::apply::tree::{Mood, Tree};
use cloud_config::metadata::Metadata;
use cloud_config::plan::{Part, Stale};
use cloud_config::settings;
use cloud_config::substitute::Unknown;

use super::perform::{Fetches, LOCK, Run, Verdict, Wanted, perform};
use crate::command::{self, Exit};
use crate::flags::Apply;

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
    let file = args.file.display().to_string();
    let wanted = Wanted::read(&bytes, &metadata.addresses, unknown, &file);
    match wanted.verdict {
        Verdict::Right => {}
        Verdict::Foreign => return Ok(Exit::Done),
        Verdict::Wrong => {
            eprintln!("error: {file} has errors: nothing was changed");
            return Ok(Exit::Failed);
        }
    }
    let tree = Tree::open(&args.root)?;
    let (settings, wrong) = settings::read(&Host::new(args.root.clone()));
    wrong.iter().for_each(|wrong| eprintln!("warning: {wrong}"));
    let mood = if args.dry_run { Mood::Look } else { Mood::Do };
    let _lock = if mood == Mood::Do { Some(tree.lock(LOCK)?) } else { None };
    let run = Run {
        tree: &tree,
        mood,
        settings: &settings,
        fetches: if args.fetch_keys { Fetches::Always } else { Fetches::Here },
        source: &file,
        bytes: &bytes,
        metadata: &metadata,
        key_set: &args.ssh_key_name,
        part: Part::All,
        stale: Stale::Remove,
        is_later: false,
        status: status::APPLY,
    };
    perform(&run, &wanted)
}

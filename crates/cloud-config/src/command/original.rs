//! The program under its old name.

use std::time::{Duration, Instant};

use agent_support::host::Host;

use cloud_config::apply::status;
use cloud_config::apply::tree::{Mood, Tree};
use cloud_config::plan::{Part, Stale};
use cloud_config::read::validate;
use cloud_config::settings;
use cloud_config::source::{self, Found, Given, cmdline, config_drive, digitalocean, ec2, google};
use cloud_config::substitute::Unknown;

use super::perform::{Fetches, LOCK, Run, Verdict, Wanted, perform};
use crate::command::{Exit, read};
use crate::flags::{Original, Preset};

/// For all sources together.
const PATIENCE: Duration = Duration::from_secs(300);

/// Checks or applies what the first source gives that answers.
pub fn run(args: &Original) -> anyhow::Result<Exit> {
    match checked(args) {
        Err(err) if args.ignore_failure => {
            eprintln!("error: {err:#}");
            Ok(Exit::Done)
        }
        Ok(_) if args.ignore_failure && !args.validate => Ok(Exit::Done),
        exit => exit,
    }
}

fn checked(args: &Original) -> anyhow::Result<Exit> {
    let host = Host::new(args.root.clone());
    let (name, Given { user_data, mut metadata }) = if let Some(file) = &args.from_file {
        (file.display().to_string(), Given { user_data: read(file)?, ..Given::default() })
    } else {
        match source::first(&chosen(args, &host)?, &args.root, Instant::now() + PATIENCE) {
            Ok((Found { source, at }, given)) => (format!("{} {at}", source.name), given),
            Err(said) => {
                said.iter().for_each(|said| eprintln!("{said}"));
                eprintln!("error: No datasources available in time");
                return Ok(Exit::Failed);
            }
        }
    };
    if args.validate {
        let findings = validate(&user_data);
        findings.iter().for_each(|finding| println!("{}", finding.line_of_old()));
        return Ok(if findings.is_empty() { Exit::Done } else { Exit::Failed });
    }
    metadata.addresses = metadata.addresses.or_environment(|name| std::env::var(name).ok());
    let wanted = Wanted::read(&user_data, &metadata.addresses, Unknown::Refuse, &name);
    if wanted.verdict == Verdict::Wrong {
        eprintln!("error: {name} has errors. Continuing...");
    }
    let tree = Tree::open(&args.root)?;
    let (settings, wrong) = settings::read(&host);
    wrong.iter().for_each(|wrong| eprintln!("warning: {wrong}"));
    let _lock = tree.lock(LOCK)?;
    let run = Run {
        tree: &tree,
        mood: Mood::Do,
        settings: &settings,
        fetches: Fetches::Always,
        source: &name,
        bytes: &user_data,
        metadata: &metadata,
        key_set: &args.ssh_key_name,
        part: Part::All,
        stale: if wanted.verdict == Verdict::Right { Stale::Remove } else { Stale::Keep },
        is_later: false,
        status: status::APPLY,
    };
    let exit = perform(&run, &wanted)?;
    Ok(if wanted.verdict == Verdict::Wrong { Exit::Failed } else { exit })
}

/// Returns the sources that the flags choose.
fn chosen(args: &Original, host: &Host) -> anyhow::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut add = |source, at: &Option<String>| {
        found.extend(at.iter().map(|at| Found { source, at: at.clone() }));
    };
    add(&config_drive::FOLDER, &args.from_configdrive);
    add(&cmdline::URL, &args.from_url);
    if args.from_proc_cmdline {
        add(&cmdline::SOURCE, &(cmdline::SOURCE.find)(host)?);
    }
    let preset = |wanted, service: &str| (args.oem == Some(wanted)).then(|| service.to_owned());
    let of = |base: &Option<String>, wanted, service| base.clone().or_else(|| preset(wanted, service));
    add(&ec2::SOURCE, &of(&args.from_ec2_metadata, Preset::Ec2Compat, ec2::SERVICE));
    add(&google::SOURCE, &of(&args.from_gce_metadata, Preset::Gce, google::SERVICE));
    let base = of(&args.from_digitalocean_metadata, Preset::Digitalocean, digitalocean::SERVICE);
    add(&digitalocean::SOURCE, &base);
    Ok(found)
}

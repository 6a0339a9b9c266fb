//! `cargo xtask cluster up`: lays out everything that the supervisor needs, starts it, and follows the machines until
//! they are a cluster.

mod follow;
mod memory;

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use vm::{Accel, Sandbox};

use super::place::Place;
use super::plan::Plan;
use super::state::State;
use super::{config, oem};
use crate::command::run::tools;
use crate::command::test::Judged;
use crate::command::{cluster, publish};
use crate::ctx::Ctx;
use crate::judges::Judges;
use crate::keys::Keys;
use crate::{durable, flags};

/// For another command that only looks whether somebody uses the folder.
const FREE: Duration = Duration::from_secs(2);

/// Starts a cluster and waits until it is one.
pub fn run(ctx: &Ctx, place: &Place, args: &flags::ClusterUp) -> anyhow::Result<()> {
    let start = Instant::now();
    let user_data = args.cloud_config.as_deref().map(|file| user_data(ctx, file)).transpose()?;
    let lock = place.lock_within(FREE)?;
    let Some(lock) = lock else { bail!("{}", already(place)?) };
    place.empty()?;
    if let Some(bytes) = user_data {
        // What it was when the cluster was started counts, whatever becomes of the file.
        durable::write(&place.user_data(), &bytes)?;
    }
    let plan = lay_out(ctx, place, args)?;
    plan.write(&place.plan())?;
    // Where it cannot be read nothing is known, and nothing to be said.
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    if let Some(warning) = memory::warning(plan.size, plan.memory_mib, &meminfo) {
        ctx.log.warn(&warning);
    }
    ctx.log.line(&format!(
        "starting {} of {}, each with {} MiB",
        counted(plan.size.into()),
        plan.version,
        plan.memory_mib
    ));
    let supervisor = start_supervisor(place, lock)?;
    follow::until_formed(ctx, place, &plan, supervisor, start)?;
    ctx.log.line(&format!("the cluster is up after {} s", start.elapsed().as_secs()));
    ctx.log.line("  look at it   cargo xtask cluster status");
    ctx.log.line("  log in       cargo xtask cluster ssh 1");
    ctx.log.line("  update it    cargo xtask cluster apply");
    ctx.log.line("  end it       cargo xtask cluster down");
    ctx.log.line(&format!("  logs         {}", place.dir().display()));
    Ok(())
}

/// Reads the user's cloud-config and says what is to be said about it; one with errors is refused.
fn user_data(ctx: &Ctx, file: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let name = file.display().to_string();
    let (checked, findings) = config::check(&name, &bytes);
    findings.iter().for_each(|line| ctx.log.line(line));
    checked.map(|()| bytes)
}

/// What is there already, for whoever wants another.
fn already(place: &Place) -> anyhow::Result<String> {
    let what = match State::read(&place.state())? {
        Some(state) => format!("a cluster of {} is running", counted(state.machines.len())),
        None => "a cluster is being started".to_owned(),
    };
    Ok(format!("{what} already: `cargo xtask cluster status` shows it, `cargo xtask cluster down` ends it"))
}

fn counted(machines: usize) -> String {
    format!("{machines} {}", if machines == 1 { "machine" } else { "machines" })
}

/// Makes everything that lies in the folder before anything runs.
fn lay_out(ctx: &Ctx, place: &Place, args: &flags::ClusterUp) -> anyhow::Result<Plan> {
    let image_dir = match &args.image_dir {
        Some(dir) => std::path::absolute(dir).context("resolving --image-dir")?,
        None => ctx.target.join("image"),
    };
    let image = Judged::read(&image_dir, None)?;
    let tree = tools(ctx, &args.inputs)?;
    let programs = place.programs();
    // The image's own etcd serves discovery: nothing else that was built is needed on this machine.
    Judges::new(&tree, &programs, &[&image_dir])?.install_shipped(&programs, &image.artifact("usr")?)?;
    let raw = image.artifact("raw")?;
    durable::copy_sparse(&raw, &place.base()).with_context(|| format!("copying {}", raw.display()))?;
    let oem = oem::extent(&image.manifest)?;
    let mut plan =
        Plan::new(args, image_dir, &image.manifest.version, tree.clone(), programs.join("image"), oem);
    plan.emulated = is_emulated(ctx, place, &tree, args.accel)?;
    plan.keys = args.keys.as_deref().map(std::path::absolute).transpose().context("resolving --keys")?;
    offer(ctx, place, &plan, &image);
    Ok(plan)
}

fn is_emulated(ctx: &Ctx, place: &Place, tree: &Path, wanted: flags::Accel) -> anyhow::Result<bool> {
    let choice = match wanted {
        flags::Accel::Kvm => return Ok(false),
        flags::Accel::Tcg => return Ok(true),
        flags::Accel::Auto => vm::accel::choose(&Sandbox::new(tree), place.dir())?,
    };
    if choice.accel == Accel::Tcg {
        ctx.log.line(&format!("software emulation is used: {}", choice.reason));
    }
    Ok(choice.accel == Accel::Tcg)
}

/// Offers what the machines have, so that they find a channel. Without it the cluster is one all the same.
fn offer(ctx: &Ctx, place: &Place, plan: &Plan, image: &Judged) {
    let offered = if image.manifest.artifacts.contains_key("payload") {
        image.artifact("payload").and_then(|payload| {
            let keys = Keys::read(ctx, plan.keys.as_deref())?;
            publish::put_on_offer(ctx, &cluster::offer(place, plan, payload), &keys).map(drop)
        })
    } else {
        Err(anyhow::anyhow!("the image has no payload"))
    };
    if let Err(err) = offered {
        ctx.log.warn(&format!("the update server offers nothing yet: {err:#}"));
    }
}

/// Starts the supervisor in the background; it has the lock from now on.
fn start_supervisor(place: &Place, lock: File) -> anyhow::Result<Child> {
    let path = place.supervisor_log();
    let log = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    let program = std::env::current_exe().context("finding this program")?;
    let mut command = Command::new(program);
    command.args(["cluster", "supervise"]);
    // As standard input it is open for as long as the supervisor lives; nobody reads it.
    command.stdin(Stdio::from(lock));
    command.stdout(log.try_clone().context("sharing the log")?).stderr(log);
    // Ctrl-C is for the command in the foreground.
    command.process_group(0).spawn().context("starting the supervisor")
}

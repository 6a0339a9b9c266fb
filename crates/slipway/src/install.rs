//! `slipway install`: puts the running version onto another disk of this machine, from the disk that the running `/usr`
//! is on. Which device may be written and in which order is in `crates/flash`.

mod first_boot_input;
mod source;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use agent_support::host::Host;
use anyhow::{Context, ensure};
use disk_image::LogicalBlockSize;
use flash::candidates::{self, Asker, refused};
use flash::open::{self, Named, OpenError, Opened};
use flash::progress::Lines;
use flash::{Composed, Parts, Phase, Plan, Survey, SurveyError, Target, WriteError, Written, confirm};

use crate::flags::InstallArgs;
use source::Source;

/// Files with their paths.
type Files = Vec<(String, Vec<u8>)>;

/// A table is laid anew for either size of a logical block.
const ASKER: Asker = Asker { command: "slipway install", takes: &[512, 4096] };
/// No device was named, as with any other missing argument.
const USAGE: u8 = 2;

/// Installs, or lists what could be installed on.
pub fn run(host: &Host, args: &InstallArgs) -> anyhow::Result<ExitCode> {
    let Some(device) = &args.device else {
        let disks = flash::machine::disks(&host.path("/")).context("looking for block devices")?;
        eprint!("{}", candidates::listing(ASKER, &disks, candidates::content));
        return Ok(ExitCode::from(USAGE));
    };
    install(host, args, device, &Stop::on_signals()?)?;
    Ok(ExitCode::SUCCESS)
}

fn install(host: &Host, args: &InstallArgs, device: &Path, stop: &Stop) -> anyhow::Result<()> {
    let named = open::look(&host.path("/"), device, ASKER.takes)
        .with_context(|| format!("looking at {}: `slipway install` lists what there is", device.display()))?;
    ensure!(named.refusals.is_empty(), "{}", refused(&named.path, &named.refusals));
    let source = source::collect(host).context("looking at what this machine runs from")?;
    let oem = first_boot_input::collect(host, args.cloud_config.as_deref())?;
    let mut opened = open_device(&named)?;
    eprintln!("device {}", candidates::described(&named, &mut opened));
    source.say();
    first_boot_input::say(&oem);
    let composed = compose(&source, &named, &oem)?;
    let survey = check(host, &source, (&composed, named.block_size()), stop)?;
    let mut random = File::open("/dev/urandom").context("opening /dev/urandom")?;
    let plan = Plan::new(&survey, opened.device_len(), &[], |buffer| random.read_exact(buffer))
        .with_context(|| format!("planning {}", named.path.display()))?;
    if !args.yes {
        confirm::ask(&named.name, |text| eprintln!("{text}"), || stop.is_set())?;
    }
    let begin = Instant::now();
    let written = write(host, &mut opened, &named.path, (&source, &composed, &plan), stop)?;
    // udev looks at the partitions when it is closed.
    drop(opened);
    say_done(&named, &source, &plan, written, begin);
    Ok(())
}

/// Whether a person or the service manager wants it to end.
struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens for SIGINT and SIGTERM; a second one ends the process at once.
    fn on_signals() -> anyhow::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&flag)))
                .context("listening for signals")?;
        }
        Ok(Self(flag))
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn flow(&self) -> ControlFlow<()> {
        if self.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn open_device(named: &Named) -> anyhow::Result<Opened> {
    Opened::open(named).map_err(|err| match err {
        OpenError::Refused(refusal) => anyhow::anyhow!(refused(&named.path, &[refusal])),
        err => anyhow::Error::new(err).context(format!("opening {}", named.path.display())),
    })
}

fn compose(source: &Source, named: &Named, oem: &[(String, Vec<u8>)]) -> anyhow::Result<Composed> {
    let parts = Parts {
        block_size: named.block_size(),
        sizes: source.sizes,
        version: &source.entry.version,
        root_hash: &source.root_hash.0,
        usr_len: source.usr_len,
        verity: &source.verity,
        esp: &source.esp,
        oem,
    };
    flash::compose(&parts).context("laying out the disk")
}

/// Reads all of it once before anything is written; dm-verity checks every block of `/usr` on the way.
fn check(
    host: &Host,
    source: &Source,
    (composed, block_size): (&Composed, LogicalBlockSize),
    stop: &Stop,
) -> anyhow::Result<Survey> {
    let mut image = composed.reader(source.open_usr(host)?);
    flash::survey(&mut image, block_size, &mut |_| stop.flow()).map_err(|err| match err {
        SurveyError::Interrupted => anyhow::anyhow!("interrupted; nothing was written"),
        err => anyhow::Error::new(err).context("reading the running version: its disk may be failing"),
    })
}

/// Writes and verifies; whatever goes wrong, it says what that leaves of the device.
fn write(
    host: &Host,
    target: &mut impl Target,
    path: &Path,
    (source, composed, plan): (&Source, &Composed, &Plan),
    stop: &Stop,
) -> anyhow::Result<Written> {
    let mut image = composed.reader(source.open_usr(host)?);
    let mut lines = Lines::new(Phase::Writing);
    let written: Result<_, WriteError> = flash::write(target, &mut image, plan, &mut |progress| {
        if let Some(line) = lines.due(progress) {
            eprintln!("{line}");
        }
        stop.flow()
    });
    written.with_context(|| {
        format!("{} is incomplete and does not start, run the same command again", path.display())
    })
}

fn say_done(named: &Named, source: &Source, plan: &Plan, written: Written, begin: Instant) {
    let path = named.path.display();
    eprintln!(
        "installed {} onto {path}: {} MB written, {} MB read back and right, in {} s",
        source.entry.version,
        written.written / 1_000_000,
        written.verified / 1_000_000,
        begin.elapsed().as_secs()
    );
    eprintln!("  disk GUID {}", plan.disk_guid);
    match named.disk {
        Some(_) => eprintln!(
            "next: `systemctl poweroff`, take out {}, which this machine runs from now, and start it again: it then \
             runs from {path}",
            source.disk.device()
        ),
        None => eprintln!("next: start a machine from it"),
    }
}

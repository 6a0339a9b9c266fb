//! `cargo xtask flash`: puts an image onto a stick, a disk or a file, and says only then that it is there when all of
//! it was read back. What may be written and in which order is in `crates/flash`.

mod fetch;
mod image;
mod progress;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use ::flash::candidates::{self, Asker, refused};
use ::flash::confirm;
use ::flash::open::{self, Named, OpenError, Opened};
use ::flash::{Plan, Refusal, Target, Written};
use anyhow::{Context as _, bail, ensure};

use crate::command::cluster::oem;
use crate::command::validate_config;
use crate::ctx::Ctx;
use crate::flags;
use crate::keyed::human;
use image::Image;
use progress::Shown;

/// No device was named, as with any other missing argument.
const USAGE: u8 = 2;

/// The image's table counts in blocks of 512 bytes.
const ASKER: Asker = Asker { command: "cargo xtask flash", takes: &[512] };

/// Flashes, or lists what could be flashed.
pub fn run(ctx: &Ctx, args: &flags::Flash) -> anyhow::Result<ExitCode> {
    let Some(device) = &args.device else {
        let disks = ::flash::machine::disks(Path::new("/")).context("looking for block devices")?;
        eprint!("{}", candidates::listing(ASKER, &disks, candidates::content));
        return Ok(ExitCode::from(USAGE));
    };
    flash(ctx, args, device)?;
    Ok(ExitCode::SUCCESS)
}

fn flash(ctx: &Ctx, args: &flags::Flash, device: &Path) -> anyhow::Result<()> {
    let named = open::look(Path::new("/"), device, ASKER.takes).with_context(|| {
        format!("looking at {}: `cargo xtask flash` lists what there is", device.display())
    })?;
    ensure!(named.refusals.is_empty(), "{}", refused(&named.path, &named.refusals));
    let config =
        args.cloud_config.as_deref().map(|path| validate_config::checked(&ctx.log, path)).transpose()?;
    let image = image::find(ctx, args)?;
    let mut opened = open_device(&named)?;
    if opened.is_file(&image.file.metadata().context("reading the image")?)? {
        bail!(refused(&named.path, &[Refusal::ImageItself]));
    }
    ctx.log.line(&format!("device {}", candidates::described(&named, &mut opened)));
    let survey = image.check(ctx).with_context(|| format!("checking {}", image.name))?;
    ctx.log.line(&format!("image  {}, version {}, {}", image.name, survey.version, image.vouched));
    let files: Vec<_> = config.iter().map(|bytes| (oem::FILE, bytes.as_slice())).collect();
    let mut random = File::open("/dev/urandom").context("opening /dev/urandom")?;
    let plan = Plan::new(&survey, opened.device_len(), &files, |buffer| random.read_exact(buffer))
        .with_context(|| format!("planning {}", named.path.display()))?;
    if !args.yes {
        confirm::ask(&named.name, |text| ctx.log.line(text), || ctx.cancel.is_set())?;
    }
    let begin = Instant::now();
    let written = write(ctx, &mut opened, &named.path, &image, &plan)?;
    // Programs that watch the device look at it when it is closed.
    drop(opened);
    say_done(ctx, &named, &survey.version, &plan, written, begin);
    Ok(())
}

fn open_device(named: &Named) -> anyhow::Result<Opened> {
    Opened::open(named).map_err(|err| match err {
        OpenError::Refused(refusal) => anyhow::anyhow!(refused(&named.path, &[refusal])),
        OpenError::NotAllowed(err) => anyhow::Error::new(err).context(format!(
            "opening {}: only root may write to a disk, run `sudo target/debug/xtask flash` with the same arguments",
            named.path.display()
        )),
        OpenError::Other(err) => {
            anyhow::Error::new(err).context(format!("opening {}", named.path.display()))
        }
    })
}

/// Writes and verifies; whatever goes wrong, it says what that leaves of the device.
fn write(
    ctx: &Ctx,
    target: &mut impl Target,
    path: &Path,
    image: &Image,
    plan: &Plan,
) -> anyhow::Result<Written> {
    let mut shown = Shown::new(ctx);
    let mut reader = image.reader()?;
    let written = ::flash::write(target, &mut reader, plan, &mut |progress| shown.go_on(progress));
    shown.end();
    written.with_context(|| {
        format!("{} is incomplete and does not start, run the same command again", path.display())
    })
}

fn say_done(
    ctx: &Ctx,
    named: &Named,
    version: &slots::Version,
    plan: &Plan,
    written: Written,
    begin: Instant,
) {
    let path = named.path.display();
    ctx.log.line(&format!(
        "flashed {version} onto {path}: {} written, {} read back and right, in {} s",
        human(written.written),
        human(written.verified),
        begin.elapsed().as_secs()
    ));
    ctx.log.line(&format!("  disk GUID {}", plan.disk_guid));
    ctx.log.line(&match named.disk {
        Some(_) => "next: take it out and start a machine from it (UEFI, Secure Boot off); until then a desktop shows \
                    its partition OEM, where cloud-config.yml may be put or changed"
            .to_owned(),
        None => format!("next: start a machine from it, for example with `cargo xtask run --image {path}`"),
    });
}

//! Time from the kernel's start to a Docker that answers, and memory in use, against plain mkosi's image.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use vm::{Accel, Binds, Home, Machine, Sandbox, Vm};

use super::plain::Plain;
use super::{Figure, dir, mebibytes, median};
use crate::command::run::tools;
use crate::command::test::Judged;
use crate::ctx::Ctx;
use crate::flags;

/// Size of the machines' disks: larger than either image, so that root has to grow.
const DISK: u64 = 8 << 30;
/// Under software emulation a boot takes about a minute.
const TIMEOUT: Duration = Duration::from_secs(600);
/// Most of the time to Docker, as a share of the plain image's.
const DOCKER_SHARE: f64 = 0.8;
/// Most memory in use, MiB.
const MEMORY_MAX: f64 = 256.0;
/// What the unit writes in front of its numbers.
const MARK: &str = "SLIPWAY-BENCH";
/// Handed in as a credential to both images alike: systemd.system-credentials(7), `systemd.extra-unit`. The wait
/// ends when all has started, which is when boot-complete.target was reached where there is one.
const UNIT: &str = "\
[Unit]
DefaultDependencies=no
After=docker.service

[Service]
ExecStart=/bin/sh -c 'until docker info >/dev/null 2>&1; do sleep 0.1; done; \
read up rest </proc/uptime; echo SLIPWAY-BENCH docker $up >/dev/ttyS0; \
systemctl is-system-running --wait >/dev/null; sleep 60; \
while read name value unit; do case $name in MemTotal:) total=$value;; MemAvailable:) available=$value;; esac; \
done </proc/meminfo; echo SLIPWAY-BENCH memory $((total - available)) >/dev/ttyS0'
";
const DROPIN: &str = "[Unit]\nWants=slipway-bench.service\n";

/// Boots both images in turn, each time on a new disk, and takes the medians.
pub fn measure(ctx: &Ctx, args: &flags::Bench) -> anyhow::Result<Vec<Figure>> {
    let sandbox = Sandbox::new(tools(ctx, &args.inputs)?);
    sandbox.probe()?;
    let plain = Plain::prepare(ctx, &args.inputs)?.image(ctx)?;
    let judged = Judged::read(&ctx.target.join("image"), None)?;
    let ours = judged.artifact("raw")?;
    let accel = {
        let home = dir(ctx).join("accel");
        std::fs::create_dir_all(&home).with_context(|| format!("creating {}", home.display()))?;
        vm::accel::choose(&sandbox, &home)?.accel
    };
    let (mut of_ours, mut of_plain) = (Vec::new(), Vec::new());
    for run in 1..=args.runs {
        for (name, image, results) in [("plain", &plain, &mut of_plain), ("ours", &ours, &mut of_ours)] {
            ctx.cancel.check()?;
            let result = boot(ctx, &sandbox, accel, name, image)?;
            ctx.log.line(&format!(
                "run {run}, {name}: Docker after {:.1} s, {:.0} MiB in use",
                result.docker_secs, result.memory_mib
            ));
            results.push(result);
        }
    }
    let figure = |name: &str, unit, results: &[Boot], value: fn(&Boot) -> f64| {
        let runs: Vec<f64> = results.iter().map(value).collect();
        Figure { runs: runs.clone(), ..Figure::new(name, median(&runs), unit) }
    };
    let plain_docker = figure("plain mkosi: kernel to `docker info`", "s", &of_plain, |run| run.docker_secs);
    let limit = plain_docker.value * DOCKER_SHARE;
    Ok(vec![
        plain_docker,
        figure("ours: kernel to `docker info`", "s", &of_ours, |run| run.docker_secs).at_most(limit),
        figure("plain mkosi: memory after 60 s", "MiB", &of_plain, |run| run.memory_mib),
        figure("ours: memory after 60 s", "MiB", &of_ours, |run| run.memory_mib).at_most(MEMORY_MAX),
    ])
}

#[derive(Debug)]
struct Boot {
    docker_secs: f64,
    memory_mib: f64,
}

fn boot(ctx: &Ctx, sandbox: &Sandbox, accel: Accel, name: &str, image: &Path) -> anyhow::Result<Boot> {
    let home = Home::claim(sandbox, &dir(ctx).join("vm").join(name))?;
    home.new_overlay(image, DISK)?;
    home.new_vars()?;
    let mut machine = Machine::new(format!("bench-{name}"), accel);
    let credentials = [
        ("systemd.extra-unit.slipway-bench.service", UNIT),
        ("systemd.unit-dropin.multi-user.target~bench", DROPIN),
    ];
    machine.credentials.extend(credentials.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())));
    let vm = Vm::start_with(&home, &machine, Binds { image: Some(image), ..Binds::default() })?;
    let console = vm.console().context("the machine has no console")?;
    let mark = console.mark();
    let number = |what: &str| -> anyhow::Result<f64> {
        let start = format!("{MARK} {what} ");
        console.wait_for(&start, mark, TIMEOUT).with_context(|| format!("booting the image `{name}`"))?;
        // The rest of the line follows at once.
        std::thread::sleep(Duration::from_millis(200));
        let text = console.text_since(mark);
        let value = text.split_once(&start).and_then(|(_, rest)| rest.split_whitespace().next());
        value
            .and_then(|value| value.parse().ok())
            .with_context(|| format!("reading `{start}` on the console"))
    };
    let docker_secs = number("docker")?;
    let kibibytes = number("memory")?;
    vm.kill();
    home.remove()?;
    Ok(Boot { docker_secs, memory_mib: kibibytes * mebibytes(1024) })
}

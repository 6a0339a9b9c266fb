//! Time from the kernel's start to a Docker that answers, and memory in use, against plain mkosi's image, and what a
//! cloud-config adds to that time.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use vm::{Accel, Binds, Home, Machine, Sandbox, Vm};

use super::plain::Plain;
use super::{Figure, dir, mebibytes, median};
use crate::command::run::handed_in::{self, Entries};
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
/// Most that a cloud-config adds to the time to Docker, percent.
const ADDED_MAX: f64 = 5.0;
/// The cloud-config that is measured, in the checkout, and the name that a machine has by it.
const TYPICAL: (&str, &str) = ("docs/operating/cloud-config/typical.yml", "typical");
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
read up rest </proc/uptime; read name </proc/sys/kernel/hostname; \
echo SLIPWAY-BENCH docker $up $name >/dev/ttyS0; \
systemctl is-system-running --wait >/dev/null; sleep 60; \
while read name value unit; do case $name in MemTotal:) total=$value;; MemAvailable:) available=$value;; esac; \
done </proc/meminfo; echo SLIPWAY-BENCH memory $((total - available)) >/dev/ttyS0'
";
const DROPIN: &str = "[Unit]\nWants=slipway-bench.service\n";

/// Boots both images in turn, ours once more with a cloud-config, each time on a new disk, and takes the medians.
pub fn measure(ctx: &Ctx, args: &flags::Bench) -> anyhow::Result<Vec<Figure>> {
    let sandbox = Sandbox::new(tools(ctx, &args.inputs)?);
    sandbox.probe()?;
    let plain = Plain::prepare(ctx, &args.inputs)?.image(ctx)?;
    let judged = Judged::read(&ctx.target.join("image"), None)?;
    let ours = judged.artifact("raw")?;
    let typical = handed_in::entries(ctx, &ctx.repo.join(TYPICAL.0), None)?;
    let accel = {
        let home = dir(ctx).join("accel");
        std::fs::create_dir_all(&home).with_context(|| format!("creating {}", home.display()))?;
        vm::accel::choose(&sandbox, &home)?.accel
    };
    let subject = |name, image| Subject { name, image, handed_in: Entries::new() };
    let subjects = [
        subject("plain", &plain),
        subject("ours", &ours),
        Subject { handed_in: typical, ..subject("cloud-config", &ours) },
    ];
    let mut results = [const { Vec::new() }; 3];
    for run in 1..=args.runs {
        // There and back: what gets faster or slower with time does so for all of them alike.
        let mut order: Vec<_> = subjects.iter().zip(&mut results).collect();
        if run % 2 == 0 {
            order.reverse();
        }
        for (subject, results) in order {
            ctx.cancel.check()?;
            let result = boot(ctx, &sandbox, accel, subject)?;
            ctx.log.line(&format!(
                "run {run}, {}: Docker after {:.1} s, {:.0} MiB in use",
                subject.name, result.docker_secs, result.memory_mib
            ));
            results.push(result);
        }
    }
    Ok(figures(&results))
}

/// The figures of the boots of plain mkosi's image, of ours, and of ours with a cloud-config.
fn figures([plain, ours, configured]: &[Vec<Boot>; 3]) -> Vec<Figure> {
    let figure = |name: &str, unit, results: &[Boot], value: fn(&Boot) -> f64| {
        let runs: Vec<f64> = results.iter().map(value).collect();
        Figure { runs: runs.clone(), ..Figure::new(name, median(&runs), unit) }
    };
    let docker = |name, results| figure(name, "s", results, |run| run.docker_secs);
    let of_plain = docker("plain mkosi: kernel to `docker info`", plain);
    let of_ours = docker("ours: kernel to `docker info`", ours).at_most(of_plain.value * DOCKER_SHARE);
    let of_configured = docker("ours with typical.yml: kernel to `docker info`", configured);
    let added = 100.0 * (of_configured.value / of_ours.value - 1.0);
    vec![
        of_plain,
        of_ours,
        of_configured,
        Figure::new("cloud-config adds to `docker info`", added, "%").at_most(ADDED_MAX),
        figure("plain mkosi: memory after 60 s", "MiB", plain, |run| run.memory_mib),
        figure("ours: memory after 60 s", "MiB", ours, |run| run.memory_mib).at_most(MEMORY_MAX),
    ]
}

/// What is booted.
#[derive(Debug)]
struct Subject<'a> {
    name: &'static str,
    image: &'a Path,
    handed_in: Entries,
}

#[derive(Debug)]
struct Boot {
    docker_secs: f64,
    memory_mib: f64,
}

fn boot(ctx: &Ctx, sandbox: &Sandbox, accel: Accel, subject: &Subject<'_>) -> anyhow::Result<Boot> {
    let Subject { name, image, handed_in } = subject;
    let home = Home::claim(sandbox, &dir(ctx).join("vm").join(name))?;
    home.new_overlay(image, DISK)?;
    home.new_vars()?;
    // Otherwise the first boot of an image after one of the other reads it from the disk, and the next does not.
    let reading = || format!("reading {}", image.display());
    let mut whole = std::fs::File::open(image).with_context(reading)?;
    std::io::copy(&mut whole, &mut std::io::sink()).with_context(reading)?;
    let mut machine = Machine::new(format!("bench-{name}"), accel);
    machine.fw_cfg.clone_from(handed_in);
    let credentials = [
        ("systemd.extra-unit.slipway-bench.service", UNIT),
        ("systemd.unit-dropin.multi-user.target~bench", DROPIN),
    ];
    machine.credentials.extend(credentials.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())));
    let vm = Vm::start_with(&home, &machine, Binds { image: Some(image), ..Binds::default() })?;
    let console = vm.console().context("the machine has no console")?;
    let mark = console.mark();
    let told = |what: &str| -> anyhow::Result<String> {
        let start = format!("{MARK} {what} ");
        console.wait_for(&start, mark, TIMEOUT).with_context(|| format!("booting the image `{name}`"))?;
        // The rest of the line follows at once.
        std::thread::sleep(Duration::from_millis(200));
        let text = console.text_since(mark);
        let line = text.split_once(&start).and_then(|(_, rest)| rest.lines().next());
        Ok(line.with_context(|| format!("reading `{start}` on the console"))?.to_owned())
    };
    let line = told("docker")?;
    let (docker_secs, host) = docker(&line)?;
    // A machine that did not take it in would be measured as a fast one.
    ensure!(
        handed_in.is_empty() || host == TYPICAL.1,
        "the cloud-config was not applied: the name is {host}"
    );
    let kibibytes: f64 = told("memory")?.trim().parse().context("reading the memory on the console")?;
    vm.kill();
    home.remove()?;
    Ok(Boot { docker_secs, memory_mib: kibibytes * mebibytes(1024) })
}

/// The seconds until Docker answered, and the name of the machine then.
fn docker(line: &str) -> anyhow::Result<(f64, &str)> {
    let (seconds, host) = line.trim().split_once(' ').context("reading the time on the console")?;
    Ok((seconds.parse().with_context(|| format!("reading {seconds} as a time"))?, host))
}

#[cfg(test)]
mod tests {
    use cloud_config::read::validate;

    use super::*;

    fn boots<const N: usize>(docker_secs: [f64; N]) -> Vec<Boot> {
        docker_secs.map(|docker_secs| Boot { docker_secs, memory_mib: 1.0 }).into()
    }

    #[test]
    fn what_a_cloud_config_adds_is_a_share_of_our_median() {
        let figures = figures(&[boots([40.0]), boots([20.0, 90.0, 10.0]), boots([21.0, 21.0, 80.0])]);
        let added = figures.iter().find(|figure| figure.unit == "%").unwrap();
        assert!((added.value - 5.0).abs() < 1e-9 && added.limit == Some(5.0), "{added:?}");
    }

    #[test]
    fn the_console_tells_the_time_and_whose_it_is() {
        assert_eq!(docker("25.04 typical\r").unwrap(), (25.04, "typical"));
        assert!(docker("25.04").is_err() && docker("x y").is_err());
    }

    #[test]
    fn the_measured_file_is_right_and_gives_the_name_that_is_looked_for() {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let text = std::fs::read_to_string(repo.join(TYPICAL.0)).unwrap();
        assert_eq!(validate(text.as_bytes()), []);
        assert!(text.contains(&format!("\nhostname: {}\n", TYPICAL.1)));
    }
}

//! Bad versions that come as updates do: published, taken by the agent, tried, and left without a person. All of
//! them are one image; what is wrong with each is a word on its kernel command line.

use anyhow::{Context as _, ensure};
use serde_json::Value;
use write_log::Random;

use super::fallback::{TRY, short_device_wait, short_health_wait};
use super::next::runs;
use super::update::wait_until_taken;
use crate::cuts::Choice;
use crate::guest::{BOOT, Guest};
use crate::image::Image;
use crate::lab::Lab;
use crate::offline::{self, Disk};
use crate::site::Site;
use crate::variant::{self, Change, Variant};

/// Tries of an update's entry. One version uses them all, another is left after two; the others get their last one
/// at once, because each try takes minutes.
const TRIES: u32 = 3;
/// What the unit's memory limit has killed, and what the unit used at most, the page cache counted.
const MEMORY: &str = "cd /sys/fs/cgroup/system.slice/slipway-update.service; \
                      grep -x 'oom_kill 0' memory.events; cat memory.max memory.peak; \
                      grep -E '^(anon|file) ' memory.stat";

/// One bad version.
struct Bad {
    /// What is wrong with it.
    what: &'static str,
    change: Change,
    tries: u32,
    /// What is done to the machine between the update and the reboot, or while it tries.
    deed: Deed,
    /// The farthest stage of its last try.
    stage: &'static str,
    /// What the reason of its failure says.
    reason: &'static str,
}

#[derive(PartialEq, Eq)]
enum Deed {
    Nothing,
    /// A block of the engine in the other slot is overwritten.
    BadBlock,
    /// An operator reboots the machine before the version was found good.
    RebootEarly,
}

/// Every version goes back to the first one, which then takes the next.
const ALL: [Bad; 7] = [
    Bad {
        what: "a kernel panic at the start",
        change: Change::Arguments("rdinit=/nowhere"),
        tries: TRIES,
        deed: Deed::Nothing,
        stage: "loader",
        reason: "it left no record of its last try",
    },
    Bad {
        what: "a wrong root hash",
        change: Change::RootHash,
        tries: 1,
        deed: Deed::Nothing,
        stage: "initrd",
        reason: "no usr partition",
    },
    Bad {
        what: "a corrupted block of /usr",
        change: Change::Arguments("e2e.bad-block"),
        tries: 1,
        deed: Deed::BadBlock,
        stage: "health-failed",
        reason: "verity: a block of /usr does not verify",
    },
    Bad {
        what: "a unit that never finishes starting",
        change: Change::Arguments("e2e.hang"),
        tries: 2,
        deed: Deed::RebootEarly,
        stage: "health-failed",
        reason: "e2e-hanging.service",
    },
    Bad {
        what: "a health program that fails",
        change: Change::Arguments("e2e.sick"),
        tries: 1,
        deed: Deed::Nothing,
        stage: "health-failed",
        reason: "programs: 50-e2e: running timeout: exit status: 1: the patient is sick",
    },
    Bad {
        what: "Docker that does not start",
        change: Change::Arguments("e2e.no-docker"),
        tries: 1,
        deed: Deed::Nothing,
        stage: "health-failed",
        reason: "docker",
    },
    Bad {
        what: "a kernel without the network card's driver",
        change: Change::Arguments("module_blacklist=virtio_net"),
        tries: 1,
        deed: Deed::Nothing,
        stage: "health-failed",
        reason: "route: no default route for IPv4",
    },
];

/// Chooses versions: all, or one by the seed. All take a third of an hour.
fn chosen(choice: Choice) -> Vec<&'static Bad> {
    let Choice::Sample { seed, .. } = choice else { return ALL.iter().collect() };
    let n_all = u64::try_from(ALL.len()).unwrap_or(u64::MAX);
    let at = usize::try_from(Random::new(seed).below(n_all)).unwrap_or_default();
    vec![&ALL[at]]
}

/// F02, and the first half of F10.
pub fn through_updates(lab: &Lab) -> anyhow::Result<()> {
    let (first, next) = (&lab.setup.image, lab.next_image()?);
    let site = Site::start(lab)?;
    let guest = lab.editable_guest("one")?;
    short_device_wait(&guest);
    short_health_wait(&guest);
    guest.boot()?;
    guest.settled()?;
    // The entry is changed before the reboot, so it is the scenario that reboots.
    site.tell(&guest, "off")?;
    for (n, bad) in (0..).zip(chosen(lab.setup.cuts)) {
        let version = variant::later_version(next, n)?;
        let variant = Variant { image: next, version, change: bad.change };
        lab.say(&format!("version {} has {}", variant.version, bad.what));
        site.offer_variant(&variant, n + 1)?;
        lab.check("the agent takes it", || wait_until_taken(&guest, &variant.version))?;
        if n == 0 {
            let memory = guest.root(MEMORY).context("looking at the agent's memory")?;
            lab.say(&format!("memory of the update agent: {}", memory.replace('\n', ", ")));
        }
        prepare(&guest, &variant, bad)?;
        falls_back(lab, &guest, first, &variant, bad)?;
    }
    Ok(())
}

fn prepare(guest: &Guest, variant: &Variant<'_>, bad: &Bad) -> anyhow::Result<()> {
    if bad.deed == Deed::BadBlock {
        let usr = Disk::open(guest.home())?.slot_of(variant.image)?;
        let place = offline::place_of_file(guest.home().sandbox(), variant.image, "/sbin/dockerd")?;
        let block = (usr.offset + place) / 4096;
        let write = format!("dd if=/dev/urandom of=/dev/vda bs=4096 count=1 seek={block} conv=notrunc,fsync");
        guest.root(&write)?;
    }
    if bad.tries < TRIES {
        let (from, to) = (variant.entry(TRIES, 0), variant.entry(bad.tries, 0));
        guest.root(&format!("cd /efi/EFI/Linux; mv {from} {to}; sync"))?;
    }
    Ok(())
}

/// Reboots into the version, and follows its tries until the first one runs again.
fn falls_back(
    lab: &Lab,
    guest: &Guest,
    first: &Image,
    variant: &Variant<'_>,
    bad: &Bad,
) -> anyhow::Result<()> {
    let before = guest.resets()? + 1;
    // The connection may be gone before the command's status is.
    guest.run("sudo systemctl reboot", BOOT)?;
    guest.wait_resets(before, BOOT)?;
    if bad.deed == Deed::RebootEarly {
        guest.wait_login(BOOT)?;
        lab.check("it can be rebooted before it was found good", || {
            let entries = guest.root("ls /efi/EFI/Linux")?;
            let counted = variant.entry(bad.tries - 1, 1);
            ensure!(entries.lines().any(|name| name == counted), "no {counted} among {entries}");
            guest.run("sudo systemctl reboot", BOOT).map(drop)
        })?;
    }
    let after = before + usize::try_from(bad.tries)?;
    lab.check("every try ends in a reset", || guest.wait_resets(after, TRY * bad.tries))?;
    guest.wait_login(BOOT)?;
    lab.check("the first version runs again, settles and is not reset", || {
        runs(guest, first)?;
        let state = guest.settled()?;
        ensure!(state == "running", "the system is {state}");
        let resets = guest.resets()?;
        ensure!(resets == after, "{} resets behind the last try", resets - after);
        let (names, left) = (guest.root("ls /efi/EFI/Linux")?, variant.entry(0, bad.tries));
        ensure!(names.lines().any(|name| name == left), "no {left} among {names}");
        Ok(())
    })?;
    lab.check("the farthest stage and the reason are in the status", || told(lab, guest, variant, bad))?;
    lab.check("it is not taken again", || {
        let out = guest.try_root("slipway-update apply")?;
        let said = format!("failed before: {}", variant.version);
        ensure!(out.status == 1 && out.stderr.contains(&said), "{} {}", out.stdout, out.stderr);
        runs(guest, first)
    })
}

fn told(lab: &Lab, guest: &Guest, variant: &Variant<'_>, bad: &Bad) -> anyhow::Result<()> {
    let text = guest.root("slipway-update status --json")?;
    let status: Value = serde_json::from_str(&text).context("parsing the status")?;
    let failed = status["failed_versions"].as_array().context("no failed versions")?;
    let version = variant.version.to_string();
    let found = failed.iter().find(|failed| failed["version"] == *version);
    let found = found.with_context(|| format!("no {version} among the failed versions: {text}"))?;
    let (stage, reason) = (found["stage"].as_str().unwrap_or(""), found["reason"].as_str().unwrap_or(""));
    lab.say(&format!("{version} failed at stage {stage}: {reason}"));
    ensure!(stage == bad.stage && reason.contains(bad.reason), "stage {stage}: {reason}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_one_and_every_version_is_in_some() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..64 {
            let sample = chosen(Choice::Sample { n_cuts: 1, seed });
            assert_eq!(sample.len(), 1);
            seen.extend(sample.iter().map(|bad| bad.what));
        }
        assert_eq!(seen.len(), ALL.len());
        assert_eq!(chosen(Choice::All).len(), ALL.len());
    }
}

//! Updates from a static web server, without a person.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use slots::Version;

use super::next::runs;
use super::{containers, etcd_cluster};
use crate::guest::{BOOT, Guest};
use crate::image::Image;
use crate::lab::Lab;
use crate::site::Site;
use crate::variant::{self, Change, Variant};

/// From an offer to the reboot into it: the agent looks at its settings twice a minute, then fetches and writes.
const UPDATE: Duration = Duration::from_secs(600);
/// Of the payload, most that two builds of the same packages may differ in, in percent.
const FETCHED_MAX: u64 = 10;
/// Bytes behind the UKI's block list, the first thing that a download keeps, after which the server dies: more than
/// channel file and head, less than what the smallest update fetches behind that list, which has that of the tree.
const BEHIND_LIST: u64 = 32 << 10;
/// What a machine gathers: files of its own, a user, a container that writes, a key in etcd, a default of /etc that
/// is changed. A unit that never has started keeps the next start from its end until its file is gone.
const OF_ITS_OWN: &str = r#"
echo mine > /etc/mine; echo kept > /var/lib/kept; useradd --create-home alice
echo '192.0.2.7 friend' >> /etc/hosts
docker run -d --name kept --restart always app:a bash -c 'echo kept > /kept; exec sleep infinity' >/dev/null
systemctl enable --quiet --now etcd.service fleet.service
etcdctl put /kept yes >/dev/null
printf '[Service]\nExecStart=/usr/bin/sleep infinity\n[X-Fleet]\nGlobal=true\n' > /root/everywhere.service
fleetctl --request-timeout=60 start /root/everywhere.service
cat > /etc/systemd/system/hold.service <<'END'
[Unit]
ConditionPathExists=/var/lib/hold
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/usr/bin/sleep infinity
[Install]
WantedBy=multi-user.target
END
systemctl enable --quiet hold.service
touch /var/lib/hold; sync
"#;
/// Has starts end from now on.
const LET_GO: &str = "rm /var/lib/hold; sync";
/// Fails where something of that is gone.
const STILL_THERE: &str = r"
grep -qx mine /etc/mine; grep -qx kept /var/lib/kept; test -d /home/alice; getent passwd alice >/dev/null
grep -q friend /etc/hosts
test $(docker exec kept cat /kept) = kept
test $(etcdctl get --print-value-only /kept) = yes
until systemctl is-active --quiet everywhere.service; do sleep 1; done";
/// Every value that the semaphore of the group ever had, one a line: etcd compacts after an hour.
const SEMAPHORES: &str = "(timeout 10 etcdctl watch --rev=1 /coreos.com/updateengine/rebootlock/semaphore || true) \
                          | grep '^{'";
/// What the second version's defaults say.
const NEW_DEFAULT: &str = "Of the second version";
const HOSTS: &str = "/etc/hosts";
const NSSWITCH: &str = "/etc/nsswitch.conf";
/// The boot loader on the ESP.
const LOADER: &str = "grep -ao 'LoaderInfo: systemd-boot [0-9]*' /efi/EFI/BOOT/BOOTX64.EFI";

/// F01, F07, F12, the second half of F10 and E10: version 1 takes 2 by itself when its group lets it, loses its power at
/// the first start of it, goes back when told to, takes 3 into the same slot and 4 into its own, and keeps what it has.
pub fn over_and_back(lab: &Lab) -> anyhow::Result<()> {
    let first = &lab.setup.image;
    let [second, third, fourth] = lab.next_images()?;
    let site = Site::start(lab)?;
    let guest = lab.guest("one")?;
    guest.boot()?;
    guest.settled()?;
    guest.root(containers::IMAGES)?;
    guest.root(OF_ITS_OWN)?;
    site.tell(&guest, "etcd-lock")?;

    let resets = guest.resets()?;
    site.offer(second, 1)?;
    lab.check("the machine takes the version and reboots without a command", || {
        guest.wait_resets(resets + 1, UPDATE).with_context(|| last_word(&guest))?;
        guest.wait_login(BOOT)
    })?;
    lab.check("the power is cut before the version was found good", || {
        runs(&guest, second)?;
        let tried = second.counted_entry(2).replace("+2", "+2-1");
        entries(&guest, &[first.blessed_entry(), tried])?;
        guest.root(LET_GO)?;
        guest.power_cut();
        guest.boot()
    })?;
    lab.check("it is tried again, runs from the other slot and is blessed", || {
        arrived(&guest, second, "B", &[first, second])?;
        let status = status(&guest)?;
        ensure!(status["failed_versions"] == json!([]), "{status}");
        Ok(())
    })?;
    lab.check("it took the group's slot, made fleet leave it alone, and gave both back", || {
        etcd_cluster::until(lab, BOOT, || asked_first(&guest, second))
    })?;
    lab.check("the cluster's status page shows it", || {
        guest.root("systemctl start slipway-cluster.service")?;
        etcd_cluster::until(lab, BOOT, || {
            etcd_cluster::page_says(&guest, &[&second.version.to_string(), "good"])
        })
    })?;
    lab.check("most of it was copied from the old slot", || little_was_fetched(&guest, second))?;
    lab.check("what the machine had is there", || guest.root(STILL_THERE).map(drop))?;
    lab.check("a default that nobody touched is the new one, a touched one is not", || {
        ensure!(guest.root(&format!("cat {NSSWITCH}"))?.contains(NEW_DEFAULT), "{NSSWITCH} is the old one");
        ensure!(!guest.root(&format!("cat {HOSTS}"))?.contains(NEW_DEFAULT), "{HOSTS} is the new one");
        Ok(())
    })?;

    let resets = guest.resets()?;
    guest.root("slipway-update rollback")?;
    lab.check("after a rollback the first version runs from its slot", || {
        guest.wait_resets(resets + 1, BOOT)?;
        guest.wait_login(BOOT)?;
        arrived(&guest, first, "A", &[first])
    })?;
    lab.check("the version that was rolled back is not taken again", || {
        let out = guest.try_root("slipway-update apply")?;
        ensure!(format!("{} {}", out.stdout, out.stderr).contains("held"), "{} {}", out.stdout, out.stderr);
        runs(&guest, first)
    })?;

    let loader = guest.root(LOADER)?;
    site.tell(&guest, "off")?;
    let newer = Variant { image: third, version: third.version.clone(), change: Change::NewerLoader };
    site.offer_variant(&newer, 2)?;
    lab.check("a newer one goes into the slot of the one that was rolled back", || {
        wait_until_taken(&guest, &third.version)?;
        ensure!(guest.root(LOADER)? == loader, "the boot loader came before its version was good");
        guest.reboot()?;
        arrived(&guest, third, "B", &[first, third])
    })?;
    lab.check("its boot loader is there once it is good", || {
        let now = guest.root(&format!("systemctl start slipway-update-blessed.service; {LOADER}"))?;
        ensure!(now != loader, "{now} as before");
        Ok(())
    })?;
    lab.check("what the machine had is there", || guest.root(STILL_THERE).map(drop))?;

    let list = variant::head(&fourth.payload)?.0.layout.uki_blocks;
    site.tap.cut_after(list.len + BEHIND_LIST);
    site.offer(fourth, 3)?;
    lab.check("a server that dies in the middle leaves a download", || {
        site.tap.wait_cut(guest.patient(UPDATE))?;
        let status = status(&guest)?;
        ensure!(status["current_op"] == "UPDATE_STATUS_DOWNLOADING", "{status}");
        entries(&guest, &[third.blessed_entry()])
    })?;
    lab.check("after a reboot a good version runs again, with the newer boot loader", || {
        guest.reboot()?;
        site.tap.mend();
        runs(&guest, third)
    })?;
    lab.check("the download goes on where it stopped", || {
        wait_until_taken(&guest, &fourth.version)?;
        let n_asked = site.times_asked(3, list.offset);
        ensure!(n_asked == 1, "the block list was asked for {n_asked} times");
        Ok(())
    })?;
    lab.check("the fourth version goes into the first one's slot", || {
        guest.reboot()?;
        arrived(&guest, fourth, "A", &[third, fourth])
    })?;
    lab.check("what the machine had is there", || guest.root(STILL_THERE).map(drop))
}

/// The reboot into `image` was one of the group: this machine held its only slot, drained, over the reboot, then found
/// the version good and gave the slot back.
fn asked_first(guest: &Guest, image: &Image) -> anyhow::Result<()> {
    let id = guest.root("cat /etc/machine-id")?;
    let lines = guest.root(SEMAPHORES)?;
    let values: Vec<Value> =
        lines.lines().map(serde_json::from_str).collect::<Result<_, _>>().with_context(|| lines.clone())?;
    let version = image.version.to_string();
    let held = |value: &Value| {
        let slot = &value["slots"][&id];
        value["holders"] == json!([id]) && slot["version"] == version && slot["drained"] == true
    };
    ensure!(values.iter().any(held), "{id} never held a slot for {version}, drained:\n{lines}");
    let is_over =
        |value: &Value| value["holders"] == json!([]) && value["versions"][&version]["state"] == "good";
    ensure!(values.last().is_some_and(is_over), "{version} is not good, or the slot not free:\n{lines}");
    let machines = guest.root("fleetctl --request-timeout=60 list-machines --json")?;
    let machines: Value = serde_json::from_str(&machines).context("parsing fleet's machines")?;
    ensure!(machines[0]["id"] == id && machines[0]["hold"].is_null(), "fleet says {machines}");
    Ok(())
}

/// Waits until the agent has written `version`, and a reboot is wanted.
pub fn wait_until_taken(guest: &Guest, version: &Version) -> anyhow::Result<()> {
    let script =
        format!("until grep -qx '{version}' /run/slipway/reboot-required; do sleep 2; done 2>/dev/null");
    let out = guest.run(&script, UPDATE)?;
    ensure!(out.status == 0, "version {version} was not taken: {}", last_word(guest));
    Ok(())
}

/// Fails unless `image` runs from `slot`, all is well, and the ESP has the entries of `good` without counters.
pub fn arrived(guest: &Guest, image: &Image, slot: &str, good: &[&Image]) -> anyhow::Result<()> {
    let state = guest.settled()?;
    ensure!(state == "running", "the system is {state}");
    runs(guest, image)?;
    let text = guest.root("slipway status --json")?;
    let status: Value = serde_json::from_str(&text).context("parsing the status")?;
    ensure!(status["slot"]["name"] == *slot, "not in slot {slot}: {text}");
    entries(guest, &good.iter().map(|image| image.blessed_entry()).collect::<Vec<_>>())
}

fn entries(guest: &Guest, expected: &[String]) -> anyhow::Result<()> {
    let names = guest.root("ls /efi/EFI/Linux")?;
    for name in expected {
        ensure!(names.lines().any(|found| found == name), "no {name} among {names}");
    }
    Ok(())
}

fn status(guest: &Guest) -> anyhow::Result<Value> {
    serde_json::from_str(&guest.root("slipway-update status --json")?).context("parsing the status")
}

/// Returns how many bytes the last update fetched.
fn fetched(guest: &Guest) -> anyhow::Result<u64> {
    let status = status(guest)?;
    status["last_update"]["fetched"].as_u64().with_context(|| format!("no figures in {status}"))
}

fn little_was_fetched(guest: &Guest, image: &Image) -> anyhow::Result<()> {
    let (fetched, payload) = (fetched(guest)?, std::fs::metadata(&image.payload)?.len());
    ensure!(
        0 < fetched && fetched * 100 < payload * FETCHED_MAX,
        "{fetched} of {payload} bytes of version {} were fetched",
        image.version
    );
    Ok(())
}

/// What the agent says when nothing came of it.
fn last_word(guest: &Guest) -> String {
    let line = "systemctl status slipway-update.service --no-pager -n 20; slipway-update status";
    guest.try_root(line).map_or_else(|err| format!("{err:#}"), |out| out.stdout)
}

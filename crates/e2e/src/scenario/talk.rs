//! The cloud-config of the talk, unchanged: what a machine becomes by it, and stays in later boots.

mod fleet;
mod status;
mod way;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::guest::Guest;
use crate::lab::Lab;
use crate::offline::Disk;
use crate::standin::{Front, discovery};

/// The example of the talk.
const TALK: &str = include_str!("../../../cloud-config/tests/data/talk.yml");
/// What it names.
const TOKEN: &str = "ba09c";
const USER: &str = "philips";
/// The unit of the stage that imports keys.
const NETWORK_STAGE: &str = "slipway-cloudinit.service";
/// The longest time for all imports of a run, as documented.
const IMPORTS: Duration = Duration::from_secs(60);
/// What the program may take for the rest, under software emulation.
const REST: Duration = Duration::from_secs(30);

/// Prints what two more boots have to leave as it is, times of the files included.
const KEPT: &str = "
cat /etc/passwd /etc/group /etc/shadow
paths=$(find /home/core/.ssh | sort)
for path in $paths WRITTEN; do
  stat -c '%n %a %U:%G %y' $path
  if test -f $path; then sha256sum $path; fi
done
for unit in etcd.service fleet.service e2e-redirect.service; do
  echo $unit $(systemctl is-active $unit) $(systemctl is-enabled $unit || true)
done
etcdctl member list
etcdctl get --print-value-only /kept
curl -sf --max-time 60 http://127.0.0.1:2379/v2/keys/kept";

/// The scenario.
pub fn becomes_what_it_says(lab: &Lab) -> anyhow::Result<()> {
    let discovery = discovery::start(lab)?;
    discovery.open(TOKEN, 1)?;
    let guest = lab.editable_guest("one")?;
    let keys = BTreeMap::from([(USER.to_owned(), vec![guest.home().public_key().to_owned()])]);
    let front = Front::start(keys, discovery.port())?;
    Disk::open(guest.home())?.write_oem("cloud-config.yml", way::base(&front).as_bytes())?;
    guest.hand_in_no_key();
    guest.configure(|machine| {
        machine.fw_cfg.insert("slipway/cloud-config".to_owned(), TALK.into());
    });
    guest.boot().with_context(|| seen(&front))?;
    lab.say("core logged in with the key that GitHub has");
    lab.check("nothing else lets core in, and the key is there once", || imported_once(&guest, USER))?;
    lab.check("SSH opened when the keys were there", || {
        let keys = moment(&guest, NETWORK_STAGE, "ExecMainExit")?;
        let ssh = moment(&guest, "ssh.service", "ExecMainStart")?;
        ensure!(!keys.is_zero() && keys <= ssh, "keys at {keys:?}, SSH at {ssh:?}");
        Ok(())
    })?;
    lab.check("the start ends and nothing of it failed", || {
        guest.settled_running()?;
        status::nothing_failed(&guest)
    })?;
    lab.check("etcd is active and well, and not enabled", || {
        guest.root("systemctl is-active etcd.service && etcdctl endpoint health 2>&1")?;
        let enabled = guest.root("systemctl is-enabled etcd.service || true")?;
        ensure!(enabled == "disabled", "it is {enabled}");
        Ok(())
    })?;
    lab.check("the member is known to the discovery service under the machine's id", || {
        let expected = format!("{}=http://10.0.2.15:2380", guest.sh("cat /etc/machine-id")?);
        let members = discovery.members(TOKEN)?;
        ensure!(members == [expected.as_str()], "expected {expected}, found {members:?}; {}", seen(&front));
        Ok(())
    })?;
    lab.check("etcd listens on the default route's address and the loopback", || listens(&guest))?;
    lab.check("what is nobody else's can be read by nobody else", || {
        let open = guest.root(
            "find /var/lib/slipway/cloudinit /var/lib/etcd /home/core/.ssh /run/slipway/cloudinit* \
             -type f -perm /o=rwx",
        )?;
        ensure!(open.is_empty(), "others may read:\n{open}");
        Ok(())
    })?;
    fleet::session(lab, &guest)?;
    guest.root(
        "etcdctl put /kept by-etcd >/dev/null
         curl -sf --max-time 60 -X PUT -d value=too http://127.0.0.1:2379/v2/keys/kept >/dev/null",
    )?;
    let before = kept(&guest)?;
    front.silence_github(true);
    guest.reboot().with_context(|| seen(&front))?;
    lab.say("core logged in while GitHub is silent");
    lab.check("the boot said that the import failed, in its time", || failed_in_time(&guest, &front))?;
    lab.check("the last keys and all else are as before", || same(&guest, &before))?;
    lab.check("fleet runs the unit that it had before", || fleet::kept_runs(&guest))?;
    front.silence_github(false);
    guest.reboot().with_context(|| seen(&front))?;
    lab.check("nothing fails in the third boot", || {
        guest.settled()?;
        status::nothing_failed(&guest)
    })?;
    lab.check("the third boot changed nothing", || same(&guest, &before))?;
    lab.check("the key is still there once", || imported_once(&guest, USER))
}

/// Says what the stand-ins were asked, for a failure.
fn seen(front: &Front) -> String {
    format!("the stand-ins were asked: {:?}", front.log())
}

/// The key that the machine was handed in opens nothing, so the one by which this command runs was imported.
fn imported_once(guest: &Guest, user: &str) -> anyhow::Result<()> {
    let key = guest.home().public_key().split(' ').nth(1).context("the machine's key has no middle")?;
    let others = guest.root("cat /run/slipway/authorized_keys.d/*")?;
    ensure!(!others.contains(key), "the key was handed in: {others}");
    let set = guest.sh(&format!("cat .ssh/authorized_keys.d/github-{user}"))?;
    let all = guest.sh("cat .ssh/authorized_keys")?;
    for text in [&set, &all] {
        ensure!(text.matches(key).count() == 1, "expected {key} once, found `{text}`");
    }
    Ok(())
}

/// Looks at the sockets of the process etcd.
fn listens(guest: &Guest) -> anyhow::Result<()> {
    let text = guest.root("ss -Hltnp")?;
    let rows = text.lines().filter(|line| line.contains("\"etcd\""));
    let mut addresses: Vec<_> = rows.filter_map(|line| line.split_whitespace().nth(3)).collect();
    addresses.sort_unstable();
    ensure!(addresses == ["10.0.2.15:2379", "10.0.2.15:2380", "127.0.0.1:2379"], "{text}");
    Ok(())
}

fn failed_in_time(guest: &Guest, front: &Front) -> anyhow::Result<()> {
    let result = guest.sh(&format!("systemctl show -P Result {NETWORK_STAGE}"))?;
    ensure!(result == "exit-code", "{NETWORK_STAGE} ended with {result}; {}", seen(front));
    let failed = status::failed(guest)?;
    ensure!(failed.len() == 1 && failed[0].contains(USER), "expected the import of {USER}, found {failed:?}");
    let journal = guest.root(&format!("journalctl -b -o cat -u {NETWORK_STAGE}"))?;
    ensure!(journal.contains("failed: ") && journal.contains(USER), "the journal has:\n{journal}");
    let [start, end] = ["ExecMainStart", "ExecMainExit"].map(|what| moment(guest, NETWORK_STAGE, what));
    let took = end?.saturating_sub(start?);
    let limit = IMPORTS + guest.patient(REST);
    ensure!(!took.is_zero() && took <= limit, "it took {took:?}, more than {limit:?}");
    Ok(())
}

/// Returns when something happened to a unit, from the start of the kernel; zero if it did not.
fn moment(guest: &Guest, unit: &str, what: &str) -> anyhow::Result<Duration> {
    let text = guest.sh(&format!("systemctl show -P {what}TimestampMonotonic {unit}"))?;
    let micros = text.parse().with_context(|| format!("reading {what} of {unit}: `{text}`"))?;
    Ok(Duration::from_micros(micros))
}

fn kept(guest: &Guest) -> anyhow::Result<String> {
    guest.root(&KEPT.replace("WRITTEN", &way::WRITTEN.join(" ")))
}

fn same(guest: &Guest, before: &str) -> anyhow::Result<()> {
    // etcd may still be starting.
    guest.settled()?;
    let after = kept(guest)?;
    ensure!(before == after, "before:\n{before}\nafter:\n{after}");
    Ok(())
}

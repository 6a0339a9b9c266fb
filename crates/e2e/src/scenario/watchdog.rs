//! The hardware watchdog.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::guest::{BOOT, Guest};
use crate::lab::Lab;

/// `RuntimeWatchdogSec=` of the image is a minute; the device may round it up.
const BITE: Duration = Duration::from_secs(180);

/// A PID 1 that does not run any more is noticed by the device alone.
pub fn frozen_pid_1(lab: &Lab, guest: &Guest) -> anyhow::Result<()> {
    lab.check("PID 1 feeds a hardware watchdog", || {
        let text = guest.sh("systemctl show -P RuntimeWatchdogUSec -P WatchdogDevice; ls /dev/watchdog0")?;
        ensure!(!text.contains("infinity"), "{text}");
        Ok(())
    })?;
    guest.settled()?;
    let resets = guest.resets()?;
    guest.root("echo 1 > /sys/fs/cgroup/init.scope/cgroup.freeze")?;
    lab.say("froze PID 1");
    guest.wait_resets(resets + 1, BITE).context("waiting for the watchdog")?;
    lab.check("it was the watchdog", || {
        let events = guest.vm()?.qmp().count("WATCHDOG");
        ensure!(events == 1, "{events} watchdog events");
        Ok(())
    })?;
    guest.wait_login(BOOT)?;
    lab.check("the machine is up again", || {
        let state = guest.settled()?;
        ensure!(state == "running", "the system is {state}");
        Ok(())
    })
}

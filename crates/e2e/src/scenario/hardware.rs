//! Disks, network cards, watchdogs and consoles other than those that the other scenarios have.

use std::time::{Duration, Instant};

use anyhow::ensure;
use vm::machine::{Bus, Card, Hba, Screen, Watchdog};
use write_log::Random;

use crate::cuts::Choice;
use crate::guest::Guest;
use crate::lab::Lab;

/// What a guest gets from QEMU's user network.
const ADDRESS: &str = "10.0.2.15";
/// From the end of the start to the login on the screen.
const LOGIN: Duration = Duration::from_secs(60);
/// Names of the drivers on the way from the disk that `/usr` is on to the processor, one a line.
const DISK: &str = "set -e; disk=$(lsblk -snlo NAME,TYPE $(findmnt -no SOURCE /usr) | awk '$2 == \"disk\" {print $1; exit}'); \
     at=$(readlink -f /sys/class/block/$disk); while [ \"$at\" != / ]; do \
     if [ -e \"$at/driver\" ]; then basename $(readlink \"$at/driver\"); fi; at=$(dirname \"$at\"); done";
/// Driver and addresses of the card that the default route leads to.
const CARD: &str = "set -e; card=$(ip -4 route show default | grep -o 'dev [^ ]*' | head -1 | cut -d' ' -f2); \
                    basename $(readlink /sys/class/net/$card/device/driver); ip -4 -o address show dev $card";

/// Reads and writes the disk of a length, past the caches, and prints the modules that are loaded. `LENGTH` stands for it.
const BESIDE: &str = "disk=$(lsblk -bdnlo NAME,SIZE | awk '$2 == LENGTH {print $1}'); \
                      dd if=/dev/zero of=/dev/$disk bs=1M count=4 oflag=direct status=none; \
                      dd if=/dev/$disk bs=1M count=4 iflag=direct status=none | cmp -n 4194304 - /dev/zero; \
                      lsmod | cut -d' ' -f1";

/// A machine, and the drivers that it has to start with.
struct Hardware {
    bus: Bus,
    disk_driver: &'static str,
    hba: Hba,
    hba_module: &'static str,
    card: Card,
    card_driver: &'static str,
    watchdog: Watchdog,
    watchdog_driver: &'static str,
}

/// Each disk that the firmware starts from with a controller that it does not, and each card.
const ALL: [Hardware; 4] = [
    Hardware {
        bus: Bus::Nvme,
        disk_driver: "nvme",
        hba: Hba::Pvscsi,
        hba_module: "vmw_pvscsi",
        card: Card::E1000e,
        card_driver: "e1000e",
        watchdog: Watchdog::Itco,
        watchdog_driver: "iTCO_wdt",
    },
    Hardware {
        bus: Bus::Sata,
        disk_driver: "ahci",
        hba: Hba::Lsi53c895a,
        hba_module: "sym53c8xx",
        card: Card::Igb,
        card_driver: "igb",
        watchdog: Watchdog::I6300Esb,
        watchdog_driver: "i6300ESB timer",
    },
    Hardware {
        bus: Bus::Usb,
        disk_driver: "usb-storage",
        hba: Hba::MegaSas,
        hba_module: "megaraid_sas",
        card: Card::E1000,
        card_driver: "e1000",
        watchdog: Watchdog::I6300Esb,
        watchdog_driver: "i6300ESB timer",
    },
    Hardware {
        bus: Bus::VirtioScsi,
        disk_driver: "virtio_scsi",
        hba: Hba::Pvscsi,
        hba_module: "vmw_pvscsi",
        card: Card::Vmxnet3,
        card_driver: "vmxnet3",
        watchdog: Watchdog::Itco,
        watchdog_driver: "iTCO_wdt",
    },
];

/// One of them by the seed where only a sample is taken.
fn chosen(choice: Choice) -> &'static [Hardware] {
    let Choice::Sample { seed, .. } = choice else { return &ALL };
    let n = u64::try_from(ALL.len()).unwrap_or(u64::MAX);
    let at = usize::try_from(Random::new(seed).below(n)).unwrap_or_default();
    &ALL[at..=at]
}

/// The scenario.
pub fn starts(lab: &Lab) -> anyhow::Result<()> {
    for hardware in chosen(lab.setup.cuts) {
        let guest = lab.guest(hardware.disk_driver)?;
        guest.configure(|machine| {
            machine.bus = hardware.bus;
            machine.hba = Some(hardware.hba);
            machine.card = hardware.card;
            machine.watchdog = hardware.watchdog;
            machine.screen = Screen::Vga;
        });
        guest.boot()?;
        lab.say(&format!("core can log in over {}", hardware.card_driver));
        lab.check("the start is complete and no unit failed", || {
            guest.settled_running()?;
            guest.sh("systemctl is-active boot-complete.target").map(drop)
        })?;
        lab.check(&format!("/usr is read through {}", hardware.disk_driver), || {
            let drivers = guest.sh(DISK)?;
            ensure!(drivers.lines().any(|name| name == hardware.disk_driver), "the drivers are {drivers}");
            Ok(())
        })?;
        lab.check(&format!("a disk behind {} is read and written", hardware.hba_module), || {
            let modules = guest.root(&BESIDE.replace("LENGTH", &Hba::DISK_BYTES.to_string()))?;
            ensure!(modules.lines().any(|name| name == hardware.hba_module), "loaded are {modules}");
            Ok(())
        })?;
        lab.check(&format!("{} has the address that DHCP gave", hardware.card_driver), || {
            let found = guest.sh(CARD)?;
            let driver = found.lines().next();
            ensure!(driver == Some(hardware.card_driver) && found.contains(ADDRESS), "{found}");
            Ok(())
        })?;
        lab.check(&format!("PID 1 feeds the {}", hardware.watchdog_driver), || {
            let found =
                guest.sh("cat /sys/class/watchdog/watchdog0/identity /sys/class/watchdog/watchdog0/state")?;
            ensure!(
                found == format!("{}\nactive", hardware.watchdog_driver),
                "the first watchdog is {found}"
            );
            Ok(())
        })?;
        lab.check("screen and serial port show the kernel's words and a login", || consoles(lab, &guest))?;
        guest.power_cut();
    }
    Ok(())
}

/// The screen is read as text; of the kernel's words those that it still shows may have scrolled away, so one is added.
fn consoles(lab: &Lab, guest: &Guest) -> anyhow::Result<()> {
    let known = guest.sh("cat /proc/consoles; cat /proc/fb")?;
    for part in ["tty0", "ttyS0", "EFI VGA"] {
        ensure!(known.contains(part), "no {part} among the consoles: {known}");
    }
    let version = lab.setup.image.version.to_string();
    let end = Instant::now() + guest.patient(LOGIN);
    loop {
        let (screen, serial) = (guest.root("cat /dev/vcs1")?, guest.console()?);
        let missing: Vec<_> = [("screen", &screen), ("serial port", &serial)]
            .into_iter()
            .filter(|(_, text)| !text.contains("login:") || !text.contains(version.as_str()))
            .map(|(name, _)| name)
            .collect();
        if missing.is_empty() {
            break;
        }
        ensure!(Instant::now() < end, "no login with version {version} on {missing:?}; the screen: {screen}");
        std::thread::sleep(Duration::from_secs(1));
    }
    guest.root("echo '<0>words for both consoles' > /dev/kmsg")?;
    let screen = guest.root("cat /dev/vcs1")?;
    let serial = guest.console()?;
    for (name, text) in [("screen", screen), ("serial port", serial)] {
        ensure!(text.contains("words for both consoles"), "the kernel's words are not on the {name}: {text}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_sampled_run_starts_one_machine_and_each_has_its_turn() {
        let sample = |seed| chosen(Choice::Sample { n_cuts: 1, seed });
        let seen: BTreeSet<&str> =
            (0..64).flat_map(|seed| sample(seed).iter().map(|one| one.disk_driver)).collect();
        assert!((0..64).all(|seed| sample(seed).len() == 1));
        assert_eq!(seen.len(), ALL.len());
        assert_eq!(chosen(Choice::All).len(), ALL.len());
    }
}

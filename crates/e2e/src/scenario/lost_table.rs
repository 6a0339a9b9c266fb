//! A disk whose primary partition table is gone.

use anyhow::ensure;

use super::next::runs;
use crate::direct;
use crate::guest::Guest;
use crate::lab::Lab;
use crate::offline::Disk;

/// The kernel reads the backup, because its command line has `gpt`.
pub fn no_primary(lab: &Lab, guest: &Guest) -> anyhow::Result<()> {
    guest.settled()?;
    guest.power_off()?;
    Disk::open(guest.home())?.lose_primary_table()?;
    direct::start(guest, &lab.setup.image)?;
    lab.check("the kernel finds the slots in the backup of the table", || runs(guest, &lab.setup.image))?;
    lab.check("every partition is there", || {
        let labels = guest.root("lsblk -nro PARTLABEL /dev/vda")?;
        for label in ["esp", "oem", "root", "_empty"] {
            ensure!(labels.lines().any(|found| found == label), "no `{label}` among {labels}");
        }
        Ok(())
    })
}

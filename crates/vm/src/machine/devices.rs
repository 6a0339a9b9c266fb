//! What is plugged into a machine: its disk, its network card, its watchdog, its screen.

/// Where the disk is plugged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bus {
    /// A paravirtual disk, `/dev/vda` in the guest.
    #[default]
    VirtioBlk,
    /// An NVMe disk, `/dev/nvme0n1` in the guest.
    Nvme,
    /// The same with logical blocks of 4096 bytes.
    Nvme4096,
    /// A stick behind a USB 3 controller, `/dev/sda` in the guest.
    Usb,
    /// A SATA disk, `/dev/sda` in the guest.
    Sata,
    /// A SCSI disk of a paravirtual controller, `/dev/sda` in the guest.
    VirtioScsi,
}

/// Plugs a drive in, with further `options` of its device, which begin with a comma.
pub(super) fn add_device(add: &mut impl FnMut(&str, String), bus: Bus, drive: &str, options: &str) {
    let device = match bus {
        Bus::VirtioBlk => format!("virtio-blk-pci,drive={drive}"),
        Bus::Nvme => format!("nvme,drive={drive},serial=slipway"),
        // A namespace of its own would do the same, but the firmware does not know it among those to start from.
        Bus::Nvme4096 => {
            format!("nvme,drive={drive},serial=slipway,logical_block_size=4096,physical_block_size=4096")
        }
        Bus::Sata => format!("ide-hd,drive={drive},bus=ide.0"),
        Bus::Usb => {
            add("-device", format!("qemu-xhci,id=usb-{drive}"));
            format!("usb-storage,bus=usb-{drive}.0,drive={drive},removable=on")
        }
        Bus::VirtioScsi => {
            add("-device", format!("virtio-scsi-pci,id=hba-{drive}"));
            format!("scsi-hd,bus=hba-{drive}.0,drive={drive}")
        }
    };
    add("-device", format!("{device}{options}"));
}

/// A SCSI controller that UEFI's firmware does not start from. It has a disk of 1 GiB that is all zeros and forgets
/// what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hba {
    /// VMware's paravirtual controller.
    Pvscsi,
    /// An LSI MegaRAID SAS 1078.
    MegaSas,
    /// An LSI 53C895A.
    Lsi53c895a,
}

impl Hba {
    /// Length of its disk.
    pub const DISK_BYTES: u64 = 1 << 30;

    pub(super) fn device(self) -> &'static str {
        match self {
            Self::Pvscsi => "pvscsi",
            Self::MegaSas => "megasas",
            Self::Lsi53c895a => "lsi53c895a",
        }
    }
}

/// The network card that leads to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Card {
    /// A paravirtual card.
    #[default]
    Virtio,
    /// An Intel 82540EM.
    E1000,
    /// An Intel 82574L.
    E1000e,
    /// An Intel 82576.
    Igb,
    /// VMware's paravirtual card.
    Vmxnet3,
}

impl Card {
    pub(super) fn device(self) -> &'static str {
        match self {
            Self::Virtio => "virtio-net-pci",
            Self::E1000 => "e1000",
            Self::E1000e => "e1000e",
            Self::Igb => "igb",
            Self::Vmxnet3 => "vmxnet3",
        }
    }
}

/// What a person could look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Screen {
    /// No graphics card.
    #[default]
    None,
    /// A graphics card of which the guest has the firmware's frame buffer; nobody looks at it.
    Vga,
}

/// The watchdog device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Watchdog {
    /// An Intel 6300ESB on PCI; its bite resets the machine.
    #[default]
    I6300Esb,
    /// The TCO timer of the chipset; its bite resets the machine.
    Itco,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accel::Accel;
    use crate::machine::Machine;

    #[test]
    fn a_disk_comes_behind_its_controller_and_a_card_by_its_name() {
        let argv = Machine { bus: Bus::VirtioScsi, ..Machine::new("one", Accel::Tcg) }.argv().join(" ");
        let scsi =
            "-device virtio-scsi-pci,id=hba-disk -device scsi-hd,bus=hba-disk.0,drive=disk,bootindex=0";
        assert!(argv.contains(scsi), "{argv}");
        for (card, expected) in [
            (Card::E1000, "-device e1000,netdev=user,"),
            (Card::E1000e, "-device e1000e,netdev=user,"),
            (Card::Igb, "-device igb,netdev=user,"),
            (Card::Vmxnet3, "-device vmxnet3,netdev=user,"),
        ] {
            let (hba, screen) = (Some(Hba::MegaSas), Screen::Vga);
            let machine = Machine { card, hba, screen, ..Machine::new("one", Accel::Tcg) };
            let argv = machine.argv().join(" ");
            assert!(argv.contains(expected) && argv.contains("-device VGA"), "{argv}");
            let beside = "-device megasas,id=beside -device scsi-hd,drive=beside,bus=beside.0";
            assert!(argv.contains(beside), "{argv}");
        }
    }
}

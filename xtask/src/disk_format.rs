//! Formats of a disk image beside the raw one: names, and how qemu-img makes them.

use std::fs::File;
use std::path::Path;

use anyhow::Context as _;

use crate::ctx::Ctx;
use crate::flags::Format;
use crate::tools::Tools;
use crate::{durable, hash};

/// A format that is converted from the raw image, and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskFormat {
    /// QEMU's own.
    Qcow2,
    /// VMware's.
    Vmdk,
    /// Virtual PC's.
    Vhd,
}

impl DiskFormat {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Qcow2, Self::Vmdk, Self::Vhd];

    /// The format that is asked for, unless it is the raw one or no disk.
    pub fn of(format: Format) -> Option<Self> {
        match format {
            Format::Raw | Format::Netboot => None,
            Format::Qcow2 => Some(Self::Qcow2),
            Format::Vmdk => Some(Self::Vmdk),
            Format::Vhd => Some(Self::Vhd),
        }
    }

    /// The format as a user asks for it.
    pub fn wish(self) -> Format {
        match self {
            Self::Qcow2 => Format::Qcow2,
            Self::Vmdk => Format::Vmdk,
            Self::Vhd => Format::Vhd,
        }
    }

    /// End of the file's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vhd => "vhd",
        }
    }

    /// QEMU's name of it.
    pub fn driver(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vhd => "vpc",
        }
    }

    /// How it is made.
    pub fn options(self) -> Option<&'static str> {
        match self {
            Self::Qcow2 => None,
            // The adapter that most virtual machines of VMware have.
            Self::Vmdk => Some("subformat=monolithicSparse,adapter_type=lsilogic"),
            // Without `force_size` it would be rounded up to a whole number of cylinders.
            Self::Vhd => Some("subformat=fixed,force_size=on"),
        }
    }

    /// Whether it has a structure that qemu-img can check.
    pub fn is_checkable(self) -> bool {
        self != Self::Vhd
    }
}

/// Fails unless qemu-img finds the image's structure sound and makes of it the raw image with this SHA-256 and length.
pub fn judge(
    ctx: &Ctx,
    tools: &Tools<'_>,
    image: &Path,
    format: DiskFormat,
    raw: (&str, u64),
    work: &Path,
) -> anyhow::Result<()> {
    if format.is_checkable() {
        tools.qemu_img_check(image, format).with_context(|| format!("checking {}", image.display()))?;
    }
    let back = work.join(format!("{}.raw", format.suffix()));
    durable::remove_if_there(&back)?;
    let found = tools.qemu_img_raw(image, format, &back).and_then(|()| {
        let file = File::open(&back).with_context(|| format!("opening {}", back.display()))?;
        hash::of_sparse_file(&file, &ctx.cancel).with_context(|| format!("reading {}", back.display()))
    });
    durable::remove_if_there(&back)?;
    let (sha256, len) = found.with_context(|| format!("converting {}", image.display()))?;
    anyhow::ensure!(
        (sha256.as_str(), len) == raw,
        "{} holds another disk: {len} bytes with SHA-256 {sha256}, expected {} with {}",
        image.display(),
        raw.1,
        raw.0
    );
    Ok(())
}

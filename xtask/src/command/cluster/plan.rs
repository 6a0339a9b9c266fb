//! What `up` wants of the supervisor, as stored in `plan.json`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use disk_image::Extent;
use serde::{Deserialize, Serialize};
use vm::Accel;

use crate::durable;
use crate::flags;

/// Of [`Plan`]; the supervisor is the same program, unless somebody calls it by hand.
const FORMAT: u32 = 1;

/// A cluster that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// 1.
    pub format: u32,
    /// Number of machines.
    pub size: u8,
    /// Folder with the image and its manifest; newer builds appear there.
    pub image_dir: PathBuf,
    /// Version of the image.
    pub version: String,
    /// The tools tree that runs everything.
    pub tools: PathBuf,
    /// Folder with the image's etcd, its C library and its loader.
    pub etcd: PathBuf,
    /// Where the `oem` partition begins on the image, in bytes.
    pub oem_offset: u64,
    /// Its length, in bytes.
    pub oem_len: u64,
    /// Whether guests are emulated, rather than run by the processor.
    pub emulated: bool,
    /// Processors of each machine.
    pub cpus: u32,
    /// Memory of each machine, in MiB.
    pub memory_mib: u32,
    /// Folder of the keys that sign what is offered; without it the committed pair.
    pub keys: Option<PathBuf>,
}

impl Plan {
    /// Returns the plan of these arguments.
    pub fn new(
        args: &flags::ClusterUp,
        image_dir: PathBuf,
        version: &str,
        tools: PathBuf,
        etcd: PathBuf,
        oem: Extent,
    ) -> Self {
        Self {
            format: FORMAT,
            size: args.size,
            image_dir,
            version: version.to_owned(),
            tools,
            etcd,
            oem_offset: oem.offset,
            oem_len: oem.len,
            emulated: false,
            cpus: args.cpus,
            memory_mib: args.memory,
            keys: None,
        }
    }

    /// What runs the guests' instructions.
    pub fn accel(&self) -> Accel {
        if self.emulated { Accel::Tcg } else { Accel::Kvm }
    }

    /// The place of the `oem` partition.
    pub fn oem(&self) -> Extent {
        Extent { offset: self.oem_offset, len: self.oem_len }
    }

    /// Reads the plan.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let plan: Self =
            serde_json::from_slice(&bytes).with_context(|| format!("parsing {}", path.display()))?;
        ensure!(
            plan.format == FORMAT,
            "{}: format {}, not {FORMAT}: `cargo xtask cluster down`, then `up`",
            path.display(),
            plan.format
        );
        Ok(plan)
    }

    /// Writes the plan.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        durable::write(path, &serde_json::to_vec_pretty(self)?)
    }
}

#[cfg(test)]
pub mod made {
    use super::*;

    /// A plan of so many emulated machines.
    pub fn plan(size: u8) -> Plan {
        Plan {
            format: FORMAT,
            size,
            image_dir: "/i".into(),
            version: "0.1.0".to_owned(),
            tools: "/t".into(),
            etcd: "/e".into(),
            oem_offset: 1 << 20,
            oem_len: 1 << 26,
            emulated: true,
            cpus: 2,
            memory_mib: 1024,
            keys: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_as_it_was_written_and_another_format_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.json");
        let mut plan = made::plan(3);
        plan.write(&path).unwrap();
        assert_eq!(Plan::read(&path).unwrap(), plan);
        plan.format = 2;
        plan.write(&path).unwrap();
        let refused = format!("{:#}", Plan::read(&path).unwrap_err());
        assert!(refused.ends_with("format 2, not 1: `cargo xtask cluster down`, then `up`"), "{refused}");
    }
}

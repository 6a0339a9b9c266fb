//! The yardstick: plain mkosi makes a bootable disk image of the same packages with the same tools.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::{dir, key_of};
use crate::ctx::Ctx;
use crate::definition::{self, Definition};
use crate::inputs::Inputs;
use crate::pipeline;
use crate::tools::{Mkosi, Tools};
use crate::{durable, flags, inputs};

/// What mkosi is told beside the packages: its defaults for a disk that boots, a password so that nothing asks
/// for one at first boot, and a network, or its boot would wait two minutes for one.
const CONFIG: &str = "\
[Distribution]
Distribution=debian
Release=trixie
Architecture=x86-64

[Output]
Format=disk
Output=plain

[Build]
WithNetwork=no
SandboxTrees=sandbox

[Content]
Bootable=yes
WithRecommends=no
WithDocs=no
RootPassword=plain
Hostname=plain
Locale=C.UTF-8
Timezone=UTC
ExtraTrees=extra
";
const NETWORK: &str = "[Match]\nType=ether\n\n[Network]\nDHCP=yes\n";
/// Folder of the list of sources that takes the place of mkosi's.
const SOURCES: &str = "sandbox/etc/apt/sources.list.d";

/// All that a run needs, downloaded and unpacked beforehand.
#[derive(Debug)]
pub struct Plain {
    definition: Definition,
    inputs: Inputs,
    tree: PathBuf,
}

impl Plain {
    /// Fetches packages and tools.
    pub fn prepare(ctx: &Ctx, args: &flags::Inputs) -> anyhow::Result<Self> {
        let definition = Definition::read(&ctx.image_dir().join("image.yaml"))?;
        let groups = [pipeline::BUILD, pipeline::VM, "bench"];
        let inputs = inputs::get(ctx, &definition, args, &[], &groups)?;
        let tree = pipeline::tools(ctx, &inputs, pipeline::BUILD)?.path;
        Ok(Self { definition, inputs, tree })
    }

    /// Makes the image and returns how long mkosi took. Nothing is kept from earlier runs.
    pub fn build(&self, ctx: &Ctx, home: &Path) -> anyhow::Result<(PathBuf, Duration)> {
        durable::remove_if_there(home)?;
        let (config, packages) = (home.join("config"), home.join("packages"));
        write(&config.join("mkosi.conf"), CONFIG)?;
        write(&config.join("extra/etc/systemd/network/80-wired.network"), NETWORK)?;
        let sources = Path::new(SOURCES).join("mkosi.sources");
        let own = ctx.image_dir().join("mkosi").join(&sources);
        let text = fs::read_to_string(&own).with_context(|| format!("reading {}", own.display()))?;
        write(&config.join(&sources), &text)?;
        let locks = &self.inputs.locks;
        for row in locks.packages.rows.iter().chain(&locks.tools.rows) {
            // The tools of no group that was asked for are not fetched.
            if let Some(file) = self.inputs.files.get(&row.sha256) {
                let name = row.path.rsplit('/').next().unwrap_or(&row.path);
                durable::link_or_copy(file, &packages.join(name))?;
            }
        }
        let groups = self.definition.packages.values();
        let names: Vec<&str> = groups.flat_map(|group| definition::names(&group.packages)).collect();
        let work = home.join("work");
        let start = Instant::now();
        Tools::new(ctx, self.tree.clone()).mkosi(&Mkosi {
            config: &config,
            work: &work,
            packages: &packages,
            names: &names,
            epoch: locks.packages.time,
        })?;
        let took = start.elapsed();
        let image = work.join("out/plain.raw");
        anyhow::ensure!(image.exists(), "mkosi made no {}", image.display());
        Ok((image, took))
    }

    /// Returns an image that was made from the same inputs before, or makes one.
    pub fn image(&self, ctx: &Ctx) -> anyhow::Result<PathBuf> {
        let locks = &self.inputs.locks;
        let key = key_of(&[CONFIG, NETWORK, &locks.packages.text(), &locks.tools.text()]);
        let kept = dir(ctx).join(format!("plain-{}.raw", &key[..16]));
        if !kept.exists() {
            let home = dir(ctx).join("plain");
            let (image, _) = self.build(ctx, &home)?;
            fs::rename(&image, &kept).with_context(|| format!("renaming to {}", kept.display()))?;
            durable::remove_if_there(&home)?;
        }
        Ok(kept)
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    durable::write(path, text.as_bytes())
}

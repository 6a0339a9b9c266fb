//! Stage `uki`: kernel, initrd, microcode and command line as one PE file that boots exactly one `/usr`.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::ctx::Ctx;
use crate::hash::Key;
use crate::keyed::{self, Timing};
use crate::stage::{initrd, modules, rootfs, usr};
use crate::tools::{self, Tools};
use crate::{identity, words};

const VERSION: u32 = 1;

/// What the kernel image is made of.
#[derive(Debug)]
pub struct Input<'a> {
    /// Name of the product.
    pub product: &'a str,
    /// Version of the image.
    pub version: &'a slots::Version,
    /// The assembled tree, which holds the kernel.
    pub rootfs: &'a rootfs::Output,
    /// Kernel modules, for the kernel's version.
    pub modules: &'a modules::Output,
    /// Initramfs and microcode.
    pub initrd: &'a initrd::Output,
    /// The sealed `/usr`, which makes the root hash.
    pub usr: &'a usr::Output,
    /// Hash of the tools tree.
    pub tools_hash: &'a str,
}

/// The unified kernel image.
#[derive(Debug)]
pub struct Output {
    /// PE file.
    pub uki: PathBuf,
    /// Key of this output.
    pub key: String,
    /// For the build report.
    pub timing: Timing,
}

/// Calls ukify, and checks what it made with our own parser.
pub fn run(ctx: &Ctx, tools: &Tools<'_>, input: &Input<'_>) -> anyhow::Result<Output> {
    let path = ctx.repo.join("bootloader/cmdline.conf");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let cmdline = cmdline(&text, &input.usr.facts.root_hash);
    let release = identity::os_release(input.product, input.version);
    let mut key = Key::new("uki", VERSION);
    key.add("rootfs", input.rootfs.key.as_bytes());
    key.add("initrd", input.initrd.key.as_bytes());
    key.add("cmdline", cmdline.as_bytes());
    key.add("release", release.as_bytes());
    key.add("tools", input.tools_hash.as_bytes());
    let key = key.finish();
    let (dir, timing) = keyed::run(ctx, "uki", &key, |work| {
        let os_release = work.join("os-release");
        crate::durable::write(&os_release, release.as_bytes())?;
        let kernel = &input.modules.kernel;
        let out = work.join("uki.efi");
        tools.ukify(&tools::Uki {
            // The stub of the image's own packages, not that of the tools.
            stub: &input.rootfs.root.join("usr/lib/systemd/boot/efi/linuxx64.efi.stub"),
            linux: &input.rootfs.root.join(format!("boot/vmlinuz-{kernel}")),
            initrd: &input.initrd.initrd,
            microcode: input.initrd.microcode.as_deref(),
            os_release: &os_release,
            uname: kernel,
            cmdline: &cmdline,
            out: &out,
        })?;
        crate::durable::remove_if_there(&os_release)?;
        let bytes = std::fs::read(&out).with_context(|| format!("reading {}", out.display()))?;
        uki::validate_uki(&bytes).with_context(|| format!("checking {}", out.display()))?;
        Ok(())
    })?;
    Ok(Output { uki: dir.join("uki.efi"), key, timing })
}

/// The words of `cmdline.conf` and the hash that ties this kernel to one `/usr`.
fn cmdline(text: &str, root_hash: &str) -> String {
    let usrhash = format!("usrhash={root_hash}");
    words::of(text).chain([usrhash.as_str()]).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_drops_comments_and_ends_with_the_hash() {
        assert_eq!(cmdline("# a\nquiet\n\n rw \n", "ab12"), "quiet rw usrhash=ab12");
    }
}

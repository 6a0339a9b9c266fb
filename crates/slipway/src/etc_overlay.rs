//! The overlay at `/etc`, mounted by the initrd: the version's defaults below, the machine's changes above.

use std::ffi::CString;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use agent_support::host::{self, Host};
use agent_support::tries::Stage;
use agent_support::{boot, durable};
use anyhow::Context;
use rustix::mount::{MountFlags, mount, mount_remount};

use crate::stage;

/// Where the initrd has mounted the root file system.
const SYSROOT: &str = "/sysroot";
/// The version's defaults, below the root.
const LOWER: &str = "usr/share/factory/etc";
/// The machine's changes, below the root.
const UPPER: &str = "var/lib/slipway/etc/upper";
/// The overlay's own folder, on the same file system as the changes.
const WORK: &str = "var/lib/slipway/etc/work";
/// What starting PID 1 needs; read whole so that a block that does not verify is met while the initrd can still
/// count it, instead of in a PID 1 that panics. They are in the page cache then, so this costs nothing.
const NEEDED_TO_START: [&str; 6] = [
    "usr/lib/systemd/systemd",
    "usr/lib/systemd/systemd-executor",
    "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    "usr/lib/x86_64-linux-gnu/libc.so.6",
    "usr/bin/systemctl",
    "usr/bin/slipway",
];
/// Folder of systemd's own libraries, read whole for the same reason.
const NEEDED_DIR: &str = "usr/lib/x86_64-linux-gnu/systemd";

/// Mounts the overlay; an error is also left for the failure handler, which tells it.
pub fn run(host: &Host) -> anyhow::Result<()> {
    let res = mount_overlay(host);
    if let Err(err) = &res {
        durable::write(&host.path(boot::INITRD_FAILED_FILE), format!("{err:#}").as_bytes())?;
    }
    res?;
    // The record only helps to tell later how far a try came: not worth failing the boot.
    if let Err(err) = stage::run(host, Stage::Root) {
        eprintln!("warning: {err:#}");
    }
    Ok(())
}

fn mount_overlay(host: &Host) -> anyhow::Result<()> {
    let sysroot = host.path(SYSROOT);
    read_what_pid1_needs(&sysroot)?;
    make_folders(host, &sysroot)?;
    let options = overlay_options(&sysroot)?;
    if host.is_live() {
        let etc = sysroot.join("etc");
        // The lower layer changes between boots: nothing may be remembered about it (docs/decisions).
        mount("overlay", &etc, "overlay", MountFlags::empty(), options.as_c_str())
            .with_context(|| format!("mounting the overlay at {}", etc.display()))?;
    }
    Ok(())
}

/// Makes the folders of the overlay and its mount point, on an empty root file system too.
fn make_folders(host: &Host, sysroot: &Path) -> anyhow::Result<()> {
    let upper = sysroot.join(UPPER);
    if let Err(err) = make_folder(&upper, 0o755) {
        if !host.is_live() || err.kind() != std::io::ErrorKind::ReadOnlyFilesystem {
            return Err(err).with_context(|| format!("making {}", upper.display()));
        }
        // Without `rw` on the command line the initrd mounts the root read-only.
        mount_remount(sysroot, MountFlags::empty(), c"")
            .with_context(|| format!("mounting {} read-write", sysroot.display()))?;
        make_folder(&upper, 0o755).with_context(|| format!("making {}", upper.display()))?;
    }
    for path in [sysroot.join(WORK), sysroot.join("etc")] {
        make_folder(&path, 0o755).with_context(|| format!("making {}", path.display()))?;
    }
    Ok(())
}

fn make_folder(path: &Path, mode: u32) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(mode).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn overlay_options(sysroot: &Path) -> anyhow::Result<CString> {
    let path = |below: &str| sysroot.join(below).display().to_string();
    let (lower, upper, work) = (path(LOWER), path(UPPER), path(WORK));
    let options = format!(
        "lowerdir={lower},upperdir={upper},workdir={work},redirect_dir=off,metacopy=off,index=off,xino=off"
    );
    CString::new(options).context("writing the options of the overlay")
}

fn read_what_pid1_needs(sysroot: &Path) -> anyhow::Result<()> {
    for file in NEEDED_TO_START {
        read_through(&sysroot.join(file))?;
    }
    let dir = sysroot.join(NEEDED_DIR);
    for name in host::sorted_names(&dir)?.iter().filter(|name| name.contains(".so")) {
        read_through(&dir.join(name))?;
    }
    Ok(())
}

/// Reads a file to its end. A missing one is somebody else's error with a better message.
fn read_through(path: &Path) -> anyhow::Result<()> {
    let mut file = match fs::File::open(path) {
        Ok(file) => file,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(err) => return Err(err).with_context(|| format!("opening {}", path.display())),
    };
    std::io::copy(&mut file, &mut std::io::sink())
        .with_context(|| format!("reading {}: /usr may be corrupted", path.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    #[test]
    fn an_empty_root_gets_all_folders() {
        let tree = Tree::new();
        tree.file("/sysroot/usr/lib/systemd/systemd", "x");
        mount_overlay(&tree.host).unwrap();
        mount_overlay(&tree.host).unwrap();
        for dir in ["/sysroot/etc", "/sysroot/var/lib/slipway/etc/upper", "/sysroot/var/lib/slipway/etc/work"]
        {
            let mode = fs::metadata(tree.host.path(dir)).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o755, "{dir}");
        }
    }

    #[test]
    fn the_overlay_remembers_nothing_about_its_lower_layer() {
        let options = overlay_options(Path::new("/sysroot")).unwrap();
        expect_test::expect!["lowerdir=/sysroot/usr/share/factory/etc,upperdir=/sysroot/var/lib/slipway/etc/upper,workdir=/sysroot/var/lib/slipway/etc/work,redirect_dir=off,metacopy=off,index=off,xino=off"]
            .assert_eq(options.to_str().unwrap());
    }

    #[test]
    fn a_file_of_pid1_that_cannot_be_read_is_named_and_left_for_the_failure_handler() {
        let tree = Tree::new();
        fs::create_dir_all(tree.host.path("/sysroot/usr/bin/slipway")).unwrap();
        let err = format!("{:#}", run(&tree.host).unwrap_err());
        assert!(err.contains("/sysroot/usr/bin/slipway: /usr may be corrupted"), "{err}");
        assert_eq!(tree.host.read(boot::INITRD_FAILED_FILE).unwrap().unwrap(), err);
    }
}

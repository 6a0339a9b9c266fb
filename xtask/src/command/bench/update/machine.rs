//! An update as a machine takes it: the agent of an image, on a machine made of files, from a web server.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use payload::{Extent, Layout};

use super::images::Image;
use crate::command::publish;
use crate::ctx::Ctx;
use crate::{durable, flags, identity};

const CHANNEL: &str = "stable";
/// Folder of the disk in sysfs.
const DISK: &str = "sys/devices/pci0000:00/vda";
/// Partitions of an image, and those of slot A among them.
const PARTITIONS: u32 = 7;
const SLOT_A: [u32; 2] = [2, 3];
/// Where the loader lies on an ESP.
const LOADERS: [&str; 2] = ["EFI/BOOT/BOOTX64.EFI", "EFI/systemd/systemd-bootx64.efi"];
/// Vendor of the loader's variables (<https://systemd.io/BOOT_LOADER_INTERFACE/>).
const LOADER_VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// Ticks of a processor's time in proc_pid_stat(5): the same on every x86-64 Linux.
const TICKS_PER_SEC: f64 = 100.0;

/// What an update took.
#[derive(Debug)]
pub struct Taken {
    /// Bytes of the bodies that the server sent, by section of the payload; `channel` is the channel file.
    pub bytes: Vec<(&'static str, u64)>,
    /// Requests that it answered.
    pub requests: usize,
    /// Processor's time of the agent.
    pub cpu_secs: f64,
}

impl Taken {
    /// Returns all bytes.
    pub fn total(&self) -> u64 {
        self.bytes.iter().map(|(_, len)| len).sum()
    }

    /// Returns the bytes of one section.
    pub fn section(&self, name: &str) -> u64 {
        self.bytes.iter().filter(|(section, _)| *section == name).map(|(_, len)| len).sum()
    }
}

/// Publishes `new`, makes a machine below `dir` that runs `old`, and lets its agent take the update.
pub fn update(ctx: &Ctx, dir: &Path, old: &Image, new: &Image) -> anyhow::Result<Taken> {
    durable::remove_if_there(dir)?;
    let (site, root) = (dir.join("site"), dir.join("machine"));
    let publish = flags::Publish {
        channel: CHANNEL.to_owned(),
        to: site.clone(),
        payload: Some(new.payload.clone()),
        keys: None,
        sequence: None,
        expires_days: 1,
        wave: Vec::new(),
        url: Vec::new(),
        allow_older: false,
    };
    publish::run(ctx, &publish)?;
    let answers = Arc::new(Mutex::new(Vec::new()));
    let server = file_server::Server::start(&site, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), {
        let answers = Arc::clone(&answers);
        move |line| answers.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned())
    })?;
    make(ctx, &root, old, &server.url()).context("making a machine of files")?;
    let before = children_secs()?;
    let mut command = Command::new(&old.agent);
    command.arg("--root").arg(&root).arg("apply").stdin(Stdio::null());
    let output = command.output().with_context(|| format!("starting {}", old.agent.display()))?;
    let cpu_secs = children_secs()? - before;
    if !output.status.success() {
        bail!("the agent failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let entry = root.join("efi/EFI/Linux").join(format!("slipway_{}+3.efi", new.version));
    anyhow::ensure!(entry.exists(), "the agent took nothing: {}", String::from_utf8_lossy(&output.stdout));
    drop(server);
    let answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bytes = Vec::new();
    for line in answers.iter() {
        bytes.extend(sections_of(line, &new.head.manifest.layout)?);
    }
    durable::remove_if_there(dir)?;
    Ok(Taken { bytes, requests: answers.len(), cpu_secs })
}

/// Attributes one line of the server's log: `PEER GET TARGET [bytes=FROM-TO] STATUS LENGTH`.
fn sections_of(line: &str, layout: &Layout) -> anyhow::Result<Vec<(&'static str, u64)>> {
    let words: Vec<&str> = line.split(' ').collect();
    let (target, len) = match words[..] {
        [_, _, target, .., len] => (target, len.parse::<u64>().with_context(|| format!("reading `{line}`"))?),
        _ => bail!("not a line of the server's log: `{line}`"),
    };
    if target.ends_with(".channel") {
        return Ok(vec![("channel", len)]);
    }
    let from = words.iter().find_map(|word| word.strip_prefix("bytes=")?.split('-').next()?.parse().ok());
    let (start, end) = (from.unwrap_or(0), from.unwrap_or(0) + len);
    let named =
        ["uki_blocks", "uki", "loader", "tree_blocks", "tree", "usr"].into_iter().zip(layout.sections());
    // Padding goes with the section in front of it.
    let starts: Vec<(&str, u64)> =
        [("head", 0)].into_iter().chain(named.map(|(name, at)| (name, at.offset))).collect();
    let ends = starts.iter().skip(1).map(|(_, at)| *at).chain([layout.total()]);
    let parts =
        starts.iter().zip(ends).map(|((name, at), to)| (*name, end.min(to).saturating_sub(start.max(*at))));
    Ok(parts.filter(|(_, len)| *len != 0).collect())
}

/// Processor's time that this process took so far, seconds.
pub fn own_secs() -> anyhow::Result<f64> {
    secs([14, 15])
}

/// That of its children that have ended.
fn children_secs() -> anyhow::Result<f64> {
    secs([16, 17])
}

/// The sum of fields of proc_pid_stat(5).
fn secs(fields: [usize; 2]) -> anyhow::Result<f64> {
    let text = fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat")?;
    // The name of the program may have blanks; behind it, fields are counted from the third on.
    let (_, rest) = text.rsplit_once(") ").context("reading /proc/self/stat")?;
    let words: Vec<&str> = rest.split(' ').collect();
    let mut ticks = 0.0;
    for number in fields {
        let word = words.get(number - 3).context("reading /proc/self/stat: it has too few fields")?;
        let tick: f64 = word.parse().with_context(|| format!("reading field {number} of /proc/self/stat"))?;
        ticks += tick;
    }
    Ok(ticks / TICKS_PER_SEC)
}

/// The files by which an agent knows a machine: what the kernel, the loader and `/usr` show, an ESP, and a disk.
fn make(ctx: &Ctx, root: &Path, image: &Image, server: &str) -> anyhow::Result<()> {
    let manifest = &image.head.manifest;
    let write = |path: &str, bytes: &[u8]| durable::write(&root.join(path), bytes);
    write(&format!("{DISK}/queue/logical_block_size"), b"512\n")?;
    write("proc/self/mountinfo", b"21 20 253:0 / /usr ro - erofs /dev/mapper/usr ro\n")?;
    write("proc/cmdline", format!("usrhash={}\n", manifest.root_hash).as_bytes())?;
    for n in 1..=PARTITIONS {
        write(&format!("{DISK}/vda{n}/partition"), format!("{n}\n").as_bytes())?;
        write(&format!("{DISK}/vda{n}/uevent"), b"PARTNAME=x\n")?;
    }
    let link = |target: &str, path: &str| -> anyhow::Result<()> {
        let path = root.join(path);
        let dir = path.parent().context("a link has a folder")?;
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        symlink(target, &path).with_context(|| format!("making {}", path.display()))
    };
    link("../../devices/virtual/block/dm-0", "sys/dev/block/253:0")?;
    for n in SLOT_A {
        let below = format!("sys/devices/virtual/block/dm-0/slaves/vda{n}");
        link(&format!("../../../../pci0000:00/vda/vda{n}"), &below)?;
    }
    let entry = format!("{}_{}.efi", manifest.product, image.version);
    let mut variable = vec![6, 0, 0, 0];
    variable.extend(entry.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
    write(&format!("sys/firmware/efi/efivars/LoaderEntrySelected-{LOADER_VENDOR}"), &variable)?;
    durable::link_or_copy(&image.uki, &root.join("efi/EFI/Linux").join(&entry))?;
    let loader = read_section(&image.payload, manifest.layout.loader)?;
    for path in LOADERS {
        write(&format!("efi/{path}"), &loader)?;
    }
    for (name, text) in crate::keys::Keys::read(ctx, None)?.files {
        write(&format!("usr/lib/slipway/keys/{name}"), text.as_bytes())?;
    }
    let json = identity::image_json(&manifest.product, &image.version, image.build_time)?;
    write("usr/lib/slipway/image.json", json.as_bytes())?;
    let release = identity::os_release(&manifest.product, &image.version);
    write("usr/lib/os-release", release.as_bytes())?;
    write("etc/slipway/update.conf", format!("SERVER={server}\n").as_bytes())?;
    let disk = root.join("dev/vda");
    fs::create_dir_all(root.join("dev")).context("making the folder of the disk")?;
    durable::copy_sparse(&image.raw, &disk).with_context(|| format!("copying {}", image.raw.display()))
}

fn read_section(payload: &Path, section: Extent) -> anyhow::Result<Vec<u8>> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(payload)?;
        file.seek(SeekFrom::Start(section.offset))?;
        let mut bytes = Vec::new();
        file.take(section.len).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().with_context(|| format!("reading {}", payload.display()))
}

#[cfg(test)]
mod tests {
    use payload::SectionLens;

    use super::*;

    #[test]
    fn an_answer_is_attributed_to_the_sections_that_it_touches() {
        let lens =
            SectionLens { uki_blocks: 36, uki: 5000, loader: 10, tree_blocks: 36, tree: 4096, usr: 8192 };
        let layout = Layout::new(1000, &lens).unwrap();
        let check = |line: &str, expected: &[(&str, u64)]| {
            assert_eq!(sections_of(line, &layout).unwrap(), expected, "{line}");
        };
        check("127.0.0.1:1 GET /channels/stable.channel 200 700", &[("channel", 700)]);
        check("127.0.0.1:1 GET /payloads/a bytes=0-4095 206 4096", &[("head", 4096)]);
        // Padding is the section's that it follows.
        check(
            "127.0.0.1:1 GET /payloads/a bytes=4000-8999 206 5000",
            &[("head", 96), ("uki_blocks", 4096), ("uki", 808)],
        );
        let usr = layout.usr.offset;
        check(
            &format!("127.0.0.1:1 GET /payloads/a bytes={}-{} 206 8192", usr, usr + 8191),
            &[("usr", 8192)],
        );
        let whole = sections_of("127.0.0.1:1 GET /payloads/a 200 40960", &layout).unwrap();
        assert_eq!(whole.iter().map(|(_, len)| len).sum::<u64>(), layout.total());
        assert!(sections_of("nonsense", &layout).is_err());
    }
}

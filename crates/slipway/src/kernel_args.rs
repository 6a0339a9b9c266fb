//! `slipway kernel-args`: additional kernel arguments, as an addon on the ESP that the boot stub appends
//! (systemd-stub(7), `/loader/addons/*.addon.efi`).

mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use agent_support::host::Host;
use agent_support::{esp, sealed};
use anyhow::Context;
use serde::Serialize;
use uki::{Pe, Section};

use crate::flags::{KernelArgs, KernelArgsAction};
use crate::report::{self, Format};

/// Folder of addons that apply to every entry, whatever its version, below the ESP's mount point.
pub const ADDON_DIR: &str = "loader/addons";
/// The addon.
pub const ADDON: &str = "slipway-kernel-args.addon.efi";
/// Name of the boot stub for addons in the sealed folder.
const STUB: &str = "addonx64.efi.stub";
/// Largest addon that is read: a stub and a short text.
const ADDON_MAX: u64 = 1 << 20;

/// The JSON document (docs/operating/status.md).
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Report {
    /// 1; a change that breaks readers counts it up.
    format: u32,
    /// The additional arguments from the next boot on.
    args: String,
    /// Whether this boot was started with them.
    active: bool,
    /// The whole command line of this boot.
    kernel_command_line: String,
}

/// Does what `args` asks for, and shows the outcome.
pub fn run(host: &Host, args: KernelArgs) -> anyhow::Result<()> {
    let (format, changed) = match &args.action {
        None => (&args.format, false),
        Some(KernelArgsAction::List(format)) => (format, false),
        Some(KernelArgsAction::Set(set)) => {
            change(host, &set.args)?;
            (&set.format, true)
        }
        Some(KernelArgsAction::Clear(format)) => {
            clear(host)?;
            (format, true)
        }
    };
    let format = if args.format.json { Format::Json } else { format.format() };
    report::print(&collect(host)?, format, |report| text(report, changed))
}

fn change(host: &Host, args: &[String]) -> anyhow::Result<()> {
    let addon = addon(host, &rules::check(args)?)?;
    esp::put_record(host, ADDON_DIR, ADDON, &addon).context("setting kernel arguments")
}

fn clear(host: &Host) -> anyhow::Result<()> {
    esp::remove_record(host, ADDON_DIR, ADDON).context("clearing kernel arguments")
}

fn collect(host: &Host) -> anyhow::Result<Report> {
    let args =
        esp::read(host, |esp| read(&esp.join(ADDON_DIR).join(ADDON))).context("reading kernel arguments")?;
    let kernel_command_line = host.kernel_args()?.join(" ");
    let active = args.is_empty() || has_words(&kernel_command_line, &args);
    Ok(Report { format: 1, args, active, kernel_command_line })
}

fn text(report: &Report, changed: bool) -> String {
    let args = if report.args.is_empty() { "none" } else { &report.args };
    let when = match (changed, report.active) {
        (true, _) => " (from the next boot on)",
        (false, true) => "",
        (false, false) => " (not in this boot)",
    };
    format!("Additional arguments: {args}{when}\nThis boot: {}\n", report.kernel_command_line)
}

/// Returns whether `line` contains the words of `args`, in order and side by side.
fn has_words(line: &str, args: &str) -> bool {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (line, args) = (words(line), words(args));
    line.windows(args.len().max(1)).any(|window| window == args)
}

/// Makes the addon: the sealed stub with the arguments as its `.cmdline` section.
fn addon(host: &Host, args: &str) -> anyhow::Result<Vec<u8>> {
    let path: PathBuf = host.path(sealed::DIR).join(STUB);
    let stub = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    uki::cmdline_addon(&stub, args).with_context(|| format!("making an addon from {}", path.display()))
}

/// Reads the arguments of the addon; empty without one.
pub fn read(path: &Path) -> anyhow::Result<String> {
    let size = match fs::metadata(path) {
        Ok(meta) => meta.len(),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        Err(err) => return Err(err).with_context(|| format!("reading {}", path.display())),
    };
    anyhow::ensure!(
        size <= ADDON_MAX,
        "reading {}: {size} bytes, expected at most {ADDON_MAX}",
        path.display()
    );
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let pe = Pe::parse(&bytes).with_context(|| format!("parsing {}", path.display()))?;
    let args = pe.read_section(Section::Cmdline).unwrap_or_default();
    let args = str::from_utf8(args).with_context(|| format!("parsing {}", path.display()))?;
    Ok(args.trim_end_matches('\0').trim().to_owned())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use agent_support::testing::Tree;

    /// A PE32+ file with one empty section, and room for one more header.
    pub fn stub() -> Vec<u8> {
        let mut out = vec![0; 0x400];
        let mut put = |at: usize, value: &[u8]| out[at..at + value.len()].copy_from_slice(value);
        put(0, b"MZ");
        put(60, &[0x40]);
        put(0x40, b"PE\0\0\x64\x86");
        put(0x46, &[1]); // Number of sections.
        put(0x54, &[240]); // Size of the optional header.
        put(0x58, &[0x0b, 0x02]); // PE32+
        put(0x58 + 32, &0x1000_u32.to_le_bytes()); // Section alignment.
        put(0x58 + 36, &0x200_u32.to_le_bytes()); // File alignment.
        put(0x58 + 60, &0x400_u32.to_le_bytes()); // Size of the headers.
        put(0x58 + 108, &[16]); // Number of data directories.
        put(0x58 + 240, b".sbat");
        put(0x58 + 240 + 12, &0x1000_u32.to_le_bytes()); // Its address in memory.
        out
    }

    fn machine() -> Tree {
        let tree = Tree::new();
        tree.file("/usr/lib/slipway/addonx64.efi.stub", stub())
            .file("/proc/cmdline", "rw usrhash=aa debug x=1 console=ttyS1\n");
        tree
    }

    fn set(tree: &Tree, args: &[&str]) -> anyhow::Result<()> {
        change(&tree.host, &args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_was_set_is_listed_until_cleared() {
        let tree = machine();
        set(&tree, &["debug", "x=1"]).unwrap();
        let report = collect(&tree.host).unwrap();
        assert_eq!((report.args.as_str(), report.active), ("debug x=1", true));
        set(&tree, &["quiet"]).unwrap();
        let report = collect(&tree.host).unwrap();
        assert_eq!((report.args.as_str(), report.active), ("quiet", false));
        assert_eq!(tree.host.list("/efi/loader/addons").unwrap(), ["slipway-kernel-args.addon.efi"]);
        clear(&tree.host).unwrap();
        clear(&tree.host).unwrap();
        assert_eq!(collect(&tree.host).unwrap().args, "");
    }

    #[test]
    fn a_refused_argument_leaves_the_others_as_they_were() {
        let tree = machine();
        set(&tree, &["debug"]).unwrap();
        assert!(set(&tree, &["quiet", "usrhash=bb"]).unwrap_err().to_string().contains("usrhash=bb"));
        assert!(set(&tree, &["a\nb"]).is_err());
        assert!(set(&tree, &[" "]).is_err());
        assert_eq!(collect(&tree.host).unwrap().args, "debug");
    }

    #[test]
    fn an_addon_that_is_none_is_an_error_that_names_it() {
        let tree = machine();
        tree.file(&format!("/efi/{ADDON_DIR}/{ADDON}"), "torn");
        let err = format!("{:#}", collect(&tree.host).unwrap_err());
        assert!(err.contains(ADDON), "{err}");
        clear(&tree.host).unwrap();
    }

    #[test]
    fn the_first_line_shows_the_arguments() {
        let report =
            Report { format: 1, args: String::new(), active: true, kernel_command_line: "rw".to_owned() };
        assert_eq!(text(&report, false), "Additional arguments: none\nThis boot: rw\n");
        let report = Report { args: "debug".to_owned(), active: false, ..report };
        assert_eq!(text(&report, false), "Additional arguments: debug (not in this boot)\nThis boot: rw\n");
    }
}

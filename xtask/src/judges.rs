//! Other people's programs that judge what we make, one function each, from the tools tree `vm`.

mod shipped;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::Context as _;
use vm::Sandbox;

use crate::durable;

/// Programs that the crates' `tests/judge.rs` ask for.
const PROGRAMS: [&str; 9] = [
    "fsck.erofs",
    "fsck.fat",
    "mkfs.erofs",
    "mkfs.fat",
    "sfdisk",
    "sgdisk",
    "ukify",
    "veritysetup",
    "dump.erofs",
];
/// Files that they ask for, below the tree.
const FILES: [&str; 1] = ["usr/lib/systemd/boot/efi/addonx64.efi.stub"];

/// The judges and a folder that they may write to.
#[derive(Debug)]
pub struct Judges {
    sandbox: Sandbox,
    work: PathBuf,
}

impl Judges {
    /// Uses the tree; everything judged lies below `work` or one of `shown`.
    pub fn new(tree: &Path, work: &Path, shown: &[&Path]) -> anyhow::Result<Self> {
        fs::create_dir_all(work).with_context(|| format!("creating {}", work.display()))?;
        let start = Sandbox::new(tree).without_network().bind(work);
        let sandbox = shown.iter().fold(start, |sandbox, path| sandbox.ro_bind(*path));
        sandbox.probe()?;
        Ok(Self { sandbox, work: work.to_path_buf() })
    }

    /// Folder that the judges may write to.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// `sgdisk -v`: both copies of the partition table are sound.
    pub fn sgdisk_verify(&self, disk: &Path) -> anyhow::Result<()> {
        let said = self.accepts("sgdisk", &["-v".as_ref(), disk])?;
        // It exits with 0 whatever it finds.
        anyhow::ensure!(said.contains("No problems found"), "sgdisk -v says:\n{said}");
        Ok(())
    }

    /// `sfdisk --verify`: partitions neither overlap nor leave the disk.
    pub fn sfdisk_verify(&self, disk: &Path) -> anyhow::Result<()> {
        self.accepts("sfdisk", &["--verify".as_ref(), disk]).map(drop)
    }

    /// `sfdisk --json`: labels and UUIDs of the partitions, in order.
    pub fn sfdisk_partitions(&self, disk: &Path) -> anyhow::Result<Vec<(String, String)>> {
        let said = self.accepts("sfdisk", &["--json".as_ref(), disk])?;
        let parsed: serde_json::Value = serde_json::from_str(&said).context("parsing what sfdisk says")?;
        let rows = parsed["partitiontable"]["partitions"].as_array().context("sfdisk lists no partitions")?;
        let text = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
        Ok(rows.iter().map(|row| (text(row, "name"), text(row, "uuid"))).collect())
    }

    /// `fsck.fat -n`: the file system has no difference that it would repair.
    pub fn fsck_fat(&self, file: &Path) -> anyhow::Result<()> {
        let said = self.accepts("fsck.fat", &["-n".as_ref(), "-v".as_ref(), file])?;
        // Some differences are only told, with exit code 0.
        for sign in ["uninitialized", "wrong", "differences", "irty", "Start cluster"] {
            anyhow::ensure!(!said.contains(sign), "fsck.fat -n says:\n{said}");
        }
        Ok(())
    }

    /// `fsck.erofs`: every file of the image can be read.
    pub fn fsck_erofs(&self, image: &Path) -> anyhow::Result<()> {
        self.accepts("fsck.erofs", &["--extract".as_ref(), image]).map(drop)
    }

    /// `fsck.erofs --extract`: unpacks the image into a folder, as the user who runs this.
    pub fn extract_erofs(&self, image: &Path, to: &Path) -> anyhow::Result<()> {
        let to = format!("--extract={}", to.display());
        self.accepts("fsck.erofs", &[to.as_ref(), "--no-preserve".as_ref(), image]).map(drop)
    }

    /// `veritysetup verify`: whether the hash tree and the root hash fit the data.
    pub fn veritysetup_verify(&self, data: &Path, tree: &Path, root_hash: &str) -> anyhow::Result<bool> {
        let output = self.run("veritysetup", &["verify".as_ref(), data, tree, root_hash.as_ref()])?;
        let said = text_of(&output);
        // Any other failure must not pass for a corruption that was found.
        let found = said.contains("Verification failed") || said.contains("corrupted");
        anyhow::ensure!(output.status.success() || found, "veritysetup verify says: {}", said.trim());
        Ok(output.status.success())
    }

    /// `ukify inspect`: the sections of a UKI as text.
    pub fn ukify_inspect(&self, uki: &Path) -> anyhow::Result<String> {
        self.accepts("ukify", &["inspect".as_ref(), uki])
    }

    /// `systemd-analyze verify`: the image's own systemd has no word to say about its units.
    /// `usr` is an unpacked `/usr`; units are names, or paths below a folder that is shown.
    pub fn systemd_analyze_verify(&self, usr: &Path, etc: &Path, units: &[String]) -> anyhow::Result<()> {
        let sandbox = self
            .sandbox
            .clone()
            .bind_at(usr, "/usr")
            .bind_at(etc, "/etc")
            .setenv("SYSTEMD_LOG_LEVEL", "warning");
        let mut command = sandbox.command("systemd-analyze");
        command.args(["verify", "--man=no"]).args(units).stdin(Stdio::null());
        let output = command.output().context("starting systemd-analyze")?;
        let said = text_of(&output);
        let silent = output.status.success() && said.trim().is_empty();
        anyhow::ensure!(silent, "systemd-analyze verify says:\n{}", said.trim());
        Ok(())
    }

    /// Makes a folder with one executable for each program that the crates' tests look for, and the files.
    /// They see the folder `work` and nothing else of the machine.
    pub fn install(&self, dir: &Path) -> anyhow::Result<()> {
        durable::remove_if_there(dir)?;
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        for name in PROGRAMS {
            let mut script = "#!/bin/sh\n".to_owned();
            for (name, value) in self.sandbox.environment() {
                script.push_str(&format!("export {}={}\n", name.display(), quoted(&value.to_string_lossy())));
            }
            let argv = self.sandbox.argv(name.as_ref());
            let argv: Vec<String> = argv.iter().map(|arg| quoted(&arg.to_string_lossy())).collect();
            script.push_str(&format!("exec {} \"$@\"\n", argv.join(" ")));
            write_program(&dir.join(name), script.as_bytes())?;
        }
        for file in FILES {
            let from = self.sandbox.tree().join(file);
            let name = from.file_name().context("a file without a name")?;
            fs::copy(&from, dir.join(name)).with_context(|| format!("copying {}", from.display()))?;
        }
        Ok(())
    }

    fn accepts(&self, program: &str, args: &[&Path]) -> anyhow::Result<String> {
        let output = self.run(program, args)?;
        let said = text_of(&output);
        anyhow::ensure!(output.status.success(), "{program} ({}) says:\n{}", output.status, said.trim());
        String::from_utf8(output.stdout).with_context(|| format!("reading what {program} says"))
    }

    fn run(&self, program: &str, args: &[&Path]) -> anyhow::Result<Output> {
        let mut command: Command = self.sandbox.command(program);
        command.args(args).stdin(Stdio::null()).output().with_context(|| format!("starting {program}"))
    }
}

fn write_program(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("making {} executable", path.display()))
}

fn text_of(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// One word for the shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_reaches_the_program_as_it_was() {
        for word in ["plain", "two words", "it's", "$HOME `x` \"\\\n*", ""] {
            let out = Command::new("/bin/sh")
                .args(["-c", &format!("printf %s {}", quoted(word))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), word);
        }
    }
}

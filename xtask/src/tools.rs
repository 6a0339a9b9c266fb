//! Every program of the tools tree that the build runs, one function each.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use vm::sandbox::Sandbox;
use xshell::cmd;

use crate::ctx::Ctx;
use crate::disk_format::DiskFormat;

/// How much of a failed program's output the error shows.
const TAIL: u64 = 1024;

/// Bytes of a file that are packed together: counted from its start, so that a change within leaves what follows
/// as it is, and an update does not fetch it. A cluster may be as long, or the bytes in an extent would depend on
/// how well those in front of them packed.
const EROFS_EXTENT: u32 = 128 << 10;
/// 9 packs in half the time in which clusters of a fixed length took level 3, and 6 % better.
const EROFS_LEVEL: u32 = 9;

/// QEMU's name of an image without a format.
const RAW: &str = "raw";
/// The browser; what is in `/usr/bin` is a script for a shell that its tree has not.
const BROWSER: &str = "/usr/lib/chromium/chromium-headless-shell";

/// A tools tree and the way to run its programs without network.
#[derive(Debug)]
pub struct Tools<'a> {
    ctx: &'a Ctx,
    tree: PathBuf,
}

/// What mkosi is told.
#[derive(Debug)]
pub struct Mkosi<'a> {
    /// Folder with mkosi.conf.
    pub config: &'a Path,
    /// Everything that mkosi writes lies below it: one file system, so that nothing is copied.
    pub work: &'a Path,
    /// Folder with the packages to install from.
    pub packages: &'a Path,
    /// Names of the packages.
    pub names: &'a [&'a str],
    /// Clamps file times, seconds since 1970.
    pub epoch: u64,
}

/// What goes into the unified kernel image.
#[derive(Debug)]
pub struct Uki<'a> {
    /// PE stub of systemd.
    pub stub: &'a Path,
    /// Kernel.
    pub linux: &'a Path,
    /// Initramfs.
    pub initrd: &'a Path,
    /// Early cpio with CPU microcode.
    pub microcode: Option<&'a Path>,
    /// File with os-release text.
    pub os_release: &'a Path,
    /// Kernel release.
    pub uname: &'a str,
    /// Command line.
    pub cmdline: &'a str,
    /// Output.
    pub out: &'a Path,
}

/// What a browser made of a page.
#[derive(Debug)]
pub struct Look {
    /// The document after its scripts ran.
    pub text: String,
    /// What the browser and the page's console said.
    pub said: String,
}

impl<'a> Tools<'a> {
    /// Programs of the tree at `tree`.
    pub fn new(ctx: &'a Ctx, tree: PathBuf) -> Self {
        Self { ctx, tree }
    }

    /// Folder of the tree.
    pub fn tree(&self) -> &Path {
        &self.tree
    }

    /// Fails when programs cannot be started here, and says what to enable.
    pub fn probe(&self) -> anyhow::Result<()> {
        Ok(self.sandbox().probe()?)
    }

    /// Assembles the packages into `work/out/rootfs`.
    pub fn mkosi(&self, args: &Mkosi<'_>) -> anyhow::Result<()> {
        let Mkosi { config, work, packages, names, epoch } = args;
        for dir in ["out", "workspace", "cache"] {
            let dir = work.join(dir);
            std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        }
        let (out, workspace, cache) = (work.join("out"), work.join("workspace"), work.join("cache"));
        let packages_args = names.iter().flat_map(|name| ["--package", name]);
        let sandbox = self
            .sandbox()
            .ro_bind(config.to_path_buf())
            .ro_bind(packages.to_path_buf())
            .bind(work.to_path_buf())
            .setenv("SOURCE_DATE_EPOCH", epoch.to_string())
            .chdir(config.to_path_buf());
        let argv = sandbox.argv("mkosi".as_ref());
        let (program, argv) = split(&argv)?;
        let sh = shell()?;
        let cmd = cmd!(
            sh,
            "{program} {argv...} --directory {config} --output-directory {out} --workspace-directory {workspace}
             --cache-directory {cache} --package-cache-dir {cache} --package-directory {packages}
             {packages_args...} build"
        );
        self.run_logged("mkosi", in_sandbox(cmd.into(), &sandbox))
    }

    /// Starts mkfs.erofs, which reads a tar stream; `feed` writes it.
    pub fn mkfs_erofs(
        &self,
        out: &Path,
        epoch: u64,
        uuid: &str,
        feed: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let dir = out.parent().context("the image has no folder")?;
        let sandbox = self.sandbox().bind(dir.to_path_buf());
        let argv = sandbox.argv("mkfs.erofs".as_ref());
        let (program, argv) = split(&argv)?;
        let epoch = epoch.to_string();
        let packed = [
            format!("-zzstd,level={EROFS_LEVEL},dictsize={EROFS_EXTENT}"),
            format!("-C{EROFS_EXTENT}"),
            format!("--max-extent-bytes={EROFS_EXTENT}"),
        ];
        let sh = shell()?;
        let cmd =
            cmd!(sh, "{program} {argv...} --quiet --tar=f {packed...} -T {epoch} --all-time -U {uuid} {out}");
        let mut command = in_sandbox(cmd.into(), &sandbox);
        command.stdin(Stdio::piped());
        let (mut child, log) = self.spawn_logged("mkfs.erofs", command)?;
        let stdin = child.stdin.take().context("opening the input of mkfs.erofs")?;
        let mut stdin = std::io::BufWriter::with_capacity(1 << 20, self.ctx.cancel.stream(stdin));
        let fed = feed(&mut stdin).and_then(|()| Ok(stdin.flush()?));
        drop(stdin);
        let waited = self.wait("mkfs.erofs", child, &log);
        // When the program died, writing to it failed too: its own words say more.
        waited.and(fed)
    }

    /// Writes `modules.*.bin` for the modules below `root/usr/lib/modules/version`.
    pub fn depmod(&self, root: &Path, version: &str) -> anyhow::Result<()> {
        let sandbox = self.sandbox().bind(root.to_path_buf());
        let argv = sandbox.argv("depmod".as_ref());
        let (program, argv) = split(&argv)?;
        let sh = shell()?;
        let usr = root.join("usr");
        let cmd = cmd!(sh, "{program} {argv...} --basedir {usr} {version}");
        self.run_logged("depmod", in_sandbox(cmd.into(), &sandbox))
    }

    /// Puts kernel, initramfs and command line into one PE file. The only place that calls ukify.
    pub fn ukify(&self, uki: &Uki<'_>) -> anyhow::Result<()> {
        let Uki { stub, linux, initrd, microcode, os_release, uname, cmdline, out } = uki;
        let mut sandbox = self.sandbox().bind(out.parent().context("the UKI has no folder")?.to_path_buf());
        for input in [stub, linux, initrd, os_release].into_iter().chain(microcode) {
            sandbox = sandbox.ro_bind(input.to_path_buf());
        }
        let argv = sandbox.argv("ukify".as_ref());
        let (program, argv) = split(&argv)?;
        let microcode = microcode.iter().flat_map(|path| [Path::new("--microcode"), *path]);
        let sh = shell()?;
        let os_release = format!("@{}", os_release.display());
        let cmd = cmd!(
            sh,
            "{program} {argv...} build --efi-arch x64 --stub {stub} --linux {linux} {microcode...}
             --initrd {initrd} --os-release {os_release} --uname {uname} --cmdline {cmdline} --output {out}"
        );
        self.run_logged("ukify", in_sandbox(cmd.into(), &sandbox))
    }

    /// Converts a raw image to another format.
    pub fn qemu_img_convert(&self, raw: &Path, format: DiskFormat, out: &Path) -> anyhow::Result<()> {
        self.qemu_img((raw, RAW), (out, format.driver()), format.options())
    }

    /// Converts an image back to a raw one, with holes.
    pub fn qemu_img_raw(&self, image: &Path, format: DiskFormat, out: &Path) -> anyhow::Result<()> {
        self.qemu_img((image, format.driver()), (out, RAW), None)
    }

    /// Converts an image, each with QEMU's name of its format.
    fn qemu_img(
        &self,
        (from, driver): (&Path, &str),
        (to, to_driver): (&Path, &str),
        options: Option<&str>,
    ) -> anyhow::Result<()> {
        let dir = to.parent().context("the image has no folder")?;
        let sandbox = self.sandbox().ro_bind(from.to_path_buf()).bind(dir.to_path_buf());
        let argv = sandbox.argv("qemu-img".as_ref());
        let (program, argv) = split(&argv)?;
        let options = options.into_iter().flat_map(|options| ["-o", options]);
        let sh = shell()?;
        let cmd = cmd!(sh, "{program} {argv...} convert -f {driver} -O {to_driver} {options...} {from} {to}");
        self.run_logged("qemu-img", in_sandbox(cmd.into(), &sandbox))
    }

    /// Has the structure of an image checked; fails for a format that has none.
    pub fn qemu_img_check(&self, image: &Path, format: DiskFormat) -> anyhow::Result<()> {
        let sandbox = self.sandbox().ro_bind(image.to_path_buf());
        let argv = sandbox.argv("qemu-img".as_ref());
        let (program, argv) = split(&argv)?;
        let driver = format.driver();
        let sh = shell()?;
        let cmd = cmd!(sh, "{program} {argv...} check -f {driver} {image}");
        self.run_logged("qemu-img", in_sandbox(cmd.into(), &sandbox))
    }

    /// Makes the book in a folder that has its `book.toml`, and returns what mdBook said.
    pub fn mdbook(&self, dir: &Path) -> anyhow::Result<String> {
        let sandbox = self.sandbox().bind(dir.to_path_buf());
        let argv = sandbox.argv("mdbook".as_ref());
        let (program, argv) = split(&argv)?;
        let sh = shell()?;
        let output =
            said("mdbook", in_sandbox(cmd!(sh, "{program} {argv...} build {dir}").into(), &sandbox))?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        if self.ctx.log.verbose() {
            self.ctx.log.line(text.trim_end());
        }
        Ok(text)
    }

    /// Opens a page that lies in a folder in the browser, without a network.
    pub fn browser(&self, dir: &Path, page: &Path) -> anyhow::Result<Look> {
        let sandbox = self.sandbox().ro_bind(dir.to_path_buf());
        let argv = sandbox.argv(BROWSER.as_ref());
        let (program, argv) = split(&argv)?;
        let sh = shell()?;
        // It is in a sandbox already, in which it cannot make another.
        let cmd = cmd!(
            sh,
            "{program} {argv...} --headless --no-sandbox --disable-gpu --no-first-run
             --disable-background-networking --disable-component-update --disable-sync --enable-logging=stderr
             --dump-dom file://{page}"
        );
        let output = said("the browser", in_sandbox(cmd.into(), &sandbox))?;
        Ok(Look {
            text: String::from_utf8_lossy(&output.stdout).into_owned(),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    fn sandbox(&self) -> Sandbox {
        Sandbox::new(&self.tree).without_network()
    }

    fn run_logged(&self, name: &str, mut command: Command) -> anyhow::Result<()> {
        command.stdin(Stdio::null());
        let (child, log) = self.spawn_logged(name, command)?;
        self.wait(name, child, &log)
    }

    fn spawn_logged(&self, name: &str, mut command: Command) -> anyhow::Result<(Child, PathBuf)> {
        let dir = self.ctx.target.join("log");
        std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        let log = dir.join(format!("{name}.log"));
        if self.ctx.log.verbose() {
            command.stdout(std::io::stderr());
        } else {
            let file = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
            command.stderr(file.try_clone().context("sharing the log")?).stdout(file);
        }
        // A group of its own: Ctrl-C of the terminal reaches this process only, which ends the program whole.
        command.process_group(0);
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        Ok((child, log))
    }

    /// Waits for the program and ends it when the run is interrupted.
    fn wait(&self, name: &str, mut child: Child, log: &Path) -> anyhow::Result<()> {
        let status = loop {
            if let Some(status) = child.try_wait().with_context(|| format!("waiting for {name}"))? {
                break status;
            }
            if self.ctx.cancel.is_set() {
                vm::sandbox::end(&mut child).with_context(|| format!("ending {name}"))?;
                self.ctx.cancel.check()?;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        if status.success() {
            return Ok(());
        }
        // Ctrl-C reaches every program of the terminal, and may have ended this one first.
        self.ctx.cancel.check()?;
        if self.ctx.log.verbose() {
            bail!("{name} failed ({status}); its output is above");
        }
        bail!(
            "{name} failed ({status}); its last words:\n{}\nthe whole output: {}",
            tail(log)?,
            log.display()
        )
    }
}

/// Runs a program to its end and returns what it said.
fn said(name: &str, mut command: Command) -> anyhow::Result<Output> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting {name}"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{name} failed ({}):\n{}", output.status, words.trim());
    Ok(output)
}

fn in_sandbox(mut command: Command, sandbox: &Sandbox) -> Command {
    command.env_clear().envs(sandbox.environment());
    command
}

/// Not in `Ctx`: a shell belongs to one thread, and stages run side by side.
fn shell() -> anyhow::Result<xshell::Shell> {
    xshell::Shell::new().context("starting in the current folder")
}

fn split(argv: &[OsString]) -> anyhow::Result<(&OsString, &[OsString])> {
    argv.split_first().context("the sandbox gave no command")
}

fn tail(log: &Path) -> anyhow::Result<String> {
    let mut file = File::open(log).with_context(|| format!("opening {}", log.display()))?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

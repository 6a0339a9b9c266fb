//! Runs a program of the tools tree in a mount namespace of its own, so that no program of the host is needed.
//!
//! The tools tree is a folder of unpacked packages with merged `/usr`.
//! Its bubblewrap is started through its own dynamic loader, and shows the program a root folder that is
//! empty except for the tree's `/usr` and `/etc`, the host's `/dev`, a fresh `/tmp` and `/run`, and the
//! folders that the caller binds. The tree itself is never written to.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

mod end;
mod refusal;

pub use end::end;
pub use refusal::Facts;

/// The dynamic loader below the tree.
const LOADER: &str = "usr/lib64/ld-linux-x86-64.so.2";
/// The folder of shared libraries below the tree.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
/// Bubblewrap below the tree.
const BWRAP: &str = "usr/bin/bwrap";

/// Why a program of the tools tree cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tree lacks what every start needs.
    #[error("the tools tree has no `{0}`: make the tree anew")]
    NotATree(PathBuf),
    /// The loader could not even be started.
    #[error("starting `{program}`")]
    Start {
        /// Path of the tree's dynamic loader.
        program: PathBuf,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// The kernel or its policy forbids the namespaces.
    #[error("entering a namespace: {message}\n{remedy}")]
    Refused {
        /// What bubblewrap printed.
        message: String,
        /// What to enable, and how.
        remedy: String,
    },
}

/// How one folder or file of the host appears inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    ReadWrite,
    ReadOnly,
}

#[derive(Debug, Clone)]
struct Bind {
    source: PathBuf,
    target: PathBuf,
    access: Access,
}

/// A way to run programs of one tools tree.
///
/// The children die with the *thread* that spawned them (that is how Linux's parent-death signal works), so
/// spawn from a thread that outlives the child.
#[derive(Debug, Clone)]
pub struct Sandbox {
    tree: PathBuf,
    binds: Vec<Bind>,
    env: BTreeMap<OsString, OsString>,
    chdir: Option<PathBuf>,
    network: bool,
}

impl Sandbox {
    /// Returns a sandbox that shows nothing but `tree`, and shares the host's network.
    pub fn new(tree: impl Into<PathBuf>) -> Self {
        let tree = tree.into();
        Self { tree, binds: Vec::new(), env: BTreeMap::new(), chdir: None, network: true }
    }

    /// Returns the tools tree.
    pub fn tree(&self) -> &Path {
        &self.tree
    }

    /// Shows `path` of the host, writable, under its own name. A later bind may lie inside an earlier one.
    #[must_use]
    pub fn bind(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.with(Bind { source: path.clone(), target: path, access: Access::ReadWrite })
    }

    /// Shows `path` of the host, read-only, under its own name.
    #[must_use]
    pub fn ro_bind(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.with(Bind { source: path.clone(), target: path, access: Access::ReadOnly })
    }

    /// Shows `source` of the host, writable, as `target`.
    #[must_use]
    pub fn bind_at(self, source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        self.with(Bind { source: source.into(), target: target.into(), access: Access::ReadWrite })
    }

    /// Shows `source` of the host, read-only, as `target`.
    #[must_use]
    pub fn ro_bind_at(self, source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        self.with(Bind { source: source.into(), target: target.into(), access: Access::ReadOnly })
    }

    /// Sets a variable. The environment has otherwise only `PATH`, `HOME`, `LANG` and `TERM`.
    #[must_use]
    pub fn setenv(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Starts programs in `path`, which has to be visible inside.
    #[must_use]
    pub fn chdir(mut self, path: impl Into<PathBuf>) -> Self {
        self.chdir = Some(path.into());
        self
    }

    /// Gives programs a network namespace of their own, with nothing in it.
    #[must_use]
    pub fn without_network(mut self) -> Self {
        self.network = false;
        self
    }

    /// Returns the command that runs `program`; the caller appends its arguments and says where its output
    /// goes. Everything that `program` starts ends with it, and it ends with the thread that spawns it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let argv = self.argv(program.as_ref());
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).env_clear().envs(self.environment());
        command
    }

    /// Returns what [`Sandbox::command`] runs, for callers with another way of starting processes.
    /// They have to clear the environment and set [`Sandbox::environment`].
    pub fn argv(&self, program: &OsStr) -> Vec<OsString> {
        let root = rustix::process::geteuid().is_root();
        let etc = refusal::top_level(&self.tree.join("etc"));
        self.argv_for(program, root, &etc)
    }

    /// Returns the whole environment that programs get.
    pub fn environment(&self) -> BTreeMap<OsString, OsString> {
        let term = std::env::var_os("TERM").unwrap_or_else(|| "dumb".into());
        let mut env: BTreeMap<OsString, OsString> = BTreeMap::from([
            ("PATH".into(), "/usr/sbin:/usr/bin".into()),
            ("HOME".into(), "/root".into()),
            ("LANG".into(), "C.UTF-8".into()),
            ("TERM".into(), term),
        ]);
        env.extend(self.env.clone());
        env
    }

    /// Checks that programs can be started at all.
    ///
    /// # Errors
    /// Names the missing file of the tree, or the kernel setting that stands in the way.
    pub fn probe(&self) -> Result<(), Error> {
        for needed in [LOADER, BWRAP] {
            let path = self.tree.join(needed);
            if !path.exists() {
                return Err(Error::NotATree(path));
            }
        }
        let program = self.tree.join(LOADER);
        // The loader itself is the smallest program that every tree has.
        let mut command = self.command("/usr/lib64/ld-linux-x86-64.so.2");
        command.arg("--help").stdin(Stdio::null());
        // Ctrl-C of the terminal must not cut it in two; it ends by itself at once.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let out = command.output().map_err(|source| Error::Start { program, source })?;
        if out.status.success() {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&out.stderr).trim().to_owned();
        Err(Error::Refused { message, remedy: Facts::of_this_host(&self.tree).remedy() })
    }

    fn with(mut self, bind: Bind) -> Self {
        self.binds.push(bind);
        self
    }

    /// The command as a function of everything it depends on.
    fn argv_for(&self, program: &OsStr, root: bool, etc: &[OsString]) -> Vec<OsString> {
        let tree = &self.tree;
        let mut argv: Vec<OsString> = vec![tree.join(LOADER).into(), "--library-path".into()];
        argv.extend([tree.join(LIBRARIES).into(), tree.join(BWRAP).into()]);
        let mut add = |args: &[&OsStr]| argv.extend(args.iter().map(OsString::from));
        if !root {
            // His own number is kept: mapped to 0, mkosi would take itself for root and fail on chown.
            add(&["--unshare-user".as_ref()]);
        }
        // Its own process namespace, so that nothing survives an interrupted build.
        add(&["--unshare-pid".as_ref(), "--die-with-parent".as_ref()]);
        if !self.network {
            add(&["--unshare-net".as_ref()]);
        }
        add(&["--tmpfs".as_ref(), "/".as_ref()]);
        add(&["--ro-bind".as_ref(), tree.join("usr").as_ref(), "/usr".as_ref()]);
        for name in ["bin", "sbin", "lib", "lib64"] {
            add(&["--symlink".as_ref(), format!("usr/{name}").as_ref(), format!("/{name}").as_ref()]);
        }
        for dir in ["/root", "/home", "/sys", "/var/tmp", "/var/cache", "/var/lib", "/var/log", "/etc"] {
            add(&["--dir".as_ref(), dir.as_ref()]);
        }
        // Entry by entry, so that a bind can add a file to /etc without a mount point in the tree.
        for name in etc.iter().filter(|name| !self.replaces_etc(name)) {
            add(&["--ro-bind".as_ref(), tree.join("etc").join(name).as_ref()]);
            add(&[Path::new("/etc").join(name).as_ref()]);
        }
        if self.network {
            for file in ["/etc/resolv.conf", "/etc/hosts"] {
                add(&["--ro-bind-try".as_ref(), file.as_ref(), file.as_ref()]);
            }
        }
        add(&["--dev-bind".as_ref(), "/dev".as_ref(), "/dev".as_ref(), "--proc".as_ref(), "/proc".as_ref()]);
        add(&["--tmpfs".as_ref(), "/tmp".as_ref(), "--tmpfs".as_ref(), "/run".as_ref()]);
        for bind in &self.binds {
            let flag = match bind.access {
                Access::ReadWrite => "--bind",
                Access::ReadOnly => "--ro-bind",
            };
            add(&[flag.as_ref(), bind.source.as_ref(), bind.target.as_ref()]);
        }
        let dir = self.chdir.as_deref().unwrap_or(Path::new("/"));
        add(&["--chdir".as_ref(), dir.as_ref(), "--".as_ref(), program]);
        argv
    }

    fn replaces_etc(&self, name: &OsStr) -> bool {
        let path = Path::new("/etc").join(name);
        let of_host = self.network && ["resolv.conf", "hosts"].iter().any(|file| name == *file);
        of_host || self.binds.iter().any(|bind| bind.target == path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(sandbox: &Sandbox, root: bool, expect: Expect) {
        let argv = sandbox.argv_for("mkosi".as_ref(), root, &["apt".into(), "passwd".into()]);
        let text: Vec<_> = argv.iter().map(|arg| arg.to_str().unwrap()).collect();
        expect.assert_eq(&text.join(" ").replace(" --", "\n--"));
    }

    #[test]
    fn root_gets_no_user_namespace_but_mounts() {
        check(
            &Sandbox::new("/t").bind("/w").without_network(),
            true,
            expect![[r#"
                /t/usr/lib64/ld-linux-x86-64.so.2
                --library-path /t/usr/lib/x86_64-linux-gnu /t/usr/bin/bwrap
                --unshare-pid
                --die-with-parent
                --unshare-net
                --tmpfs /
                --ro-bind /t/usr /usr
                --symlink usr/bin /bin
                --symlink usr/sbin /sbin
                --symlink usr/lib /lib
                --symlink usr/lib64 /lib64
                --dir /root
                --dir /home
                --dir /sys
                --dir /var/tmp
                --dir /var/cache
                --dir /var/lib
                --dir /var/log
                --dir /etc
                --ro-bind /t/etc/apt /etc/apt
                --ro-bind /t/etc/passwd /etc/passwd
                --dev-bind /dev /dev
                --proc /proc
                --tmpfs /tmp
                --tmpfs /run
                --bind /w /w
                --chdir /
                -- mkosi"#]],
        );
    }

    #[test]
    fn an_ordinary_user_keeps_his_number_in_a_user_namespace() {
        check(
            &Sandbox::new("/t").ro_bind_at("/w/passwd", "/etc/passwd").chdir("/w"),
            false,
            expect![[r#"
                /t/usr/lib64/ld-linux-x86-64.so.2
                --library-path /t/usr/lib/x86_64-linux-gnu /t/usr/bin/bwrap
                --unshare-user
                --unshare-pid
                --die-with-parent
                --tmpfs /
                --ro-bind /t/usr /usr
                --symlink usr/bin /bin
                --symlink usr/sbin /sbin
                --symlink usr/lib /lib
                --symlink usr/lib64 /lib64
                --dir /root
                --dir /home
                --dir /sys
                --dir /var/tmp
                --dir /var/cache
                --dir /var/lib
                --dir /var/log
                --dir /etc
                --ro-bind /t/etc/apt /etc/apt
                --ro-bind-try /etc/resolv.conf /etc/resolv.conf
                --ro-bind-try /etc/hosts /etc/hosts
                --dev-bind /dev /dev
                --proc /proc
                --tmpfs /tmp
                --tmpfs /run
                --ro-bind /w/passwd /etc/passwd
                --chdir /w
                -- mkosi"#]],
        );
    }

    #[test]
    fn the_environment_is_the_callers_and_nothing_else() {
        let env = Sandbox::new("/t").setenv("SOURCE_DATE_EPOCH", "1").environment();
        let names: Vec<_> = env.keys().map(|name| name.to_str().unwrap()).collect();
        assert_eq!(names, ["HOME", "LANG", "PATH", "SOURCE_DATE_EPOCH", "TERM"]);
    }

    #[test]
    fn an_empty_folder_is_not_a_tree() {
        let dir = tempfile::tempdir().unwrap();
        let error = Sandbox::new(dir.path()).probe().unwrap_err();
        assert!(matches!(error, Error::NotATree(path) if path.ends_with("ld-linux-x86-64.so.2")));
    }
}

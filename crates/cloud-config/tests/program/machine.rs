//! The program on a folder of files, for tests.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a call of the program gave.
#[derive(Debug)]
pub struct Called {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A folder with a machine's root in it, gone when dropped.
pub struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        Self { dir }
    }

    /// Returns the place of a path of the machine.
    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join("root").join(path.trim_start_matches('/'))
    }

    /// Writes a file of the machine.
    pub fn file(&self, path: &str, content: &str) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    pub fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|err| panic!("{path}: {err}"))
    }

    pub fn mode(&self, path: &str) -> u32 {
        fs::symlink_metadata(self.path(path)).unwrap().permissions().mode() & 0o7777
    }

    /// Returns all paths of the machine but folders, sorted.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        let mut folders = vec![self.path("")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.symlink_metadata().unwrap().is_dir() {
                    folders.push(path);
                } else {
                    let below = path.strip_prefix(self.path("")).unwrap();
                    paths.push(format!("/{}", below.display()));
                }
            }
        }
        paths.sort();
        paths
    }

    /// Applies a configuration with further arguments.
    pub fn apply(&self, config: impl AsRef<[u8]>, arguments: &[&str]) -> Called {
        let file = self.user_data(config);
        let root = self.path("");
        let mut all = vec!["apply", "--file", file.to_str().unwrap(), "--root", root.to_str().unwrap()];
        all.extend(arguments);
        call(Path::new(env!("CARGO_BIN_EXE_slipway-cloudinit")), &all)
    }

    /// Applies a configuration, which must go well.
    #[track_caller]
    pub fn applied(&self, config: impl AsRef<[u8]>, arguments: &[&str]) -> Called {
        let called = self.apply(config, arguments);
        assert_eq!(called.code, 0, "{called:#?}");
        called
    }

    /// Writes user data beside the root and returns its place.
    pub fn user_data(&self, config: impl AsRef<[u8]>) -> PathBuf {
        self.beside("user-data", config)
    }

    /// Writes a file beside the root and returns its place.
    pub fn beside(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Calls the program with arguments, of which the last is the flag for the root.
    pub fn call(&self, arguments: &[&str]) -> Called {
        let root = self.path("");
        let all: Vec<_> = arguments.iter().copied().chain(root.to_str()).collect();
        call(Path::new(env!("CARGO_BIN_EXE_slipway-cloudinit")), &all)
    }

    /// Calls the program by its old name, for this root.
    pub fn original(&self, arguments: &[&str]) -> Called {
        let old = self.dir.path().join("coreos-cloudinit");
        if !old.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_slipway-cloudinit"), &old).unwrap();
        }
        let root = format!("-root={}", self.path("").display());
        let all: Vec<_> = arguments.iter().copied().chain([root.as_str()]).collect();
        call(&old, &all)
    }

    /// Checks a configuration as the original did.
    pub fn validate_as_original(&self, config: impl AsRef<[u8]>) -> Called {
        let file = format!("-from-file={}", self.user_data(config).display());
        self.original(&["-validate", &file])
    }
}

/// Calls the program without an environment that it could read addresses from.
pub fn call(program: &Path, arguments: &[&str]) -> Called {
    let out = Command::new(program).args(arguments).env_clear().output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Called { code: out.status.code().unwrap(), stdout: text(out.stdout), stderr: text(out.stderr) }
}

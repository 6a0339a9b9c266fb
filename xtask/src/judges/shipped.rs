//! Programs of the image under test, byte for byte, for tests that run them here.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;

use super::{Judges, quoted, write_program};

/// Programs that the crates' `tests/judge.rs` ask for.
const PROGRAMS: [&str; 2] = ["etcd", "etcdctl"];
/// What they are linked with, below `/usr`; the first one loads the others.
const LIBRARIES: [&str; 2] = ["lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/libc.so.6"];

impl Judges {
    /// Takes the programs out of the sealed `/usr` and makes an executable for each of them in `dir`.
    ///
    /// Not in a sandbox: tests kill, stop and continue these very processes, which talk over loopback. The image's
    /// own C library is beside them, so it does not matter which one this machine has.
    pub fn install_shipped(&self, dir: &Path, usr: &Path) -> anyhow::Result<()> {
        let inner = dir.join("image");
        fs::create_dir_all(&inner).with_context(|| format!("creating {}", inner.display()))?;
        let [loader, library] = LIBRARIES;
        self.take(usr, loader, &inner.join("loader"))?;
        self.take(usr, library, &inner.join("libc.so.6"))?;
        for name in PROGRAMS {
            let program = inner.join(name);
            self.take(usr, &format!("bin/{name}"), &program)?;
            let word = |path: &Path| quoted(&path.to_string_lossy());
            let (loader, library_path) = (word(&inner.join("loader")), word(&inner));
            // `exec`, so that a signal meets the program.
            let script =
                format!("#!/bin/sh\nexec {loader} --library-path {library_path} {} \"$@\"\n", word(&program));
            write_program(&dir.join(name), script.as_bytes())?;
        }
        Ok(())
    }

    /// Copies one file out of an erofs image, as an executable one.
    fn take(&self, image: &Path, path: &str, to: &Path) -> anyhow::Result<()> {
        let context = || format!("copying {path} of {}", image.display());
        write_program(to, b"")?;
        let out = File::create(to).with_context(context)?;
        let mut command = self.sandbox.command("dump.erofs");
        command.arg("--cat").arg(format!("--path=/{path}")).arg(image).stdin(Stdio::null()).stdout(out);
        let output = command.stderr(Stdio::piped()).output().with_context(context)?;
        let said = String::from_utf8_lossy(&output.stderr);
        let copied = to.metadata().with_context(context)?.len();
        anyhow::ensure!(
            output.status.success() && copied > 0,
            "{}: dump.erofs says: {}",
            context(),
            said.trim()
        );
        Ok(())
    }
}

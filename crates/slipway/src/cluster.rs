//! `slipway cluster`: runs the program that knows the cluster. It serves HTTP and asks several programs at once, for which
//! it has a runtime that this program, which is in the initrd too, does without.

use std::ffi::OsString;
use std::io;

use agent_support::host::Host;
use anyhow::anyhow;

use crate::tools;

/// Where the program is.
const PROGRAM: &str = "/usr/bin/slipway-cluster";

/// Runs it in the place of this process; returns only when that cannot be done.
pub fn run(host: &Host, args: &[OsString]) -> anyhow::Result<()> {
    let program = host.path(PROGRAM);
    let err = tools::exec_cluster(&program, args);
    Err(match err.kind() {
        io::ErrorKind::NotFound => {
            anyhow!("{} is not there: it comes with the image, and not with the initrd", program.display())
        }
        _ => anyhow::Error::new(err).context(format!("running {}", program.display())),
    })
}

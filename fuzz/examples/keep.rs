//! Packs the files of a folder into `kept/<target>.tar.zst`, in place of what was kept before.

use std::path::PathBuf;
use std::{env, io};

use slipway_fuzz::{TARGETS, keep};

fn main() -> io::Result<()> {
    let mut args = env::args_os().skip(1);
    let (Some(target), Some(folder), None) = (args.next(), args.next(), args.next()) else {
        return Err(io::Error::other("usage: keep TARGET FOLDER"));
    };
    let Some((target, _)) = TARGETS.iter().find(|(name, _)| target == *name) else {
        return Err(io::Error::other("no such target: see fuzz/README.md"));
    };
    let n_files = keep(target, &PathBuf::from(folder))?;
    println!("kept {n_files} inputs of {target}");
    Ok(())
}

//! Writes the seeds of every target, and what is kept of long runs, to `corpus/<target>/` of the folder given as the
//! one argument.

use std::path::Path;
use std::{env, fs, io};

use slipway_fuzz::{TARGETS, kept, seeds};

fn main() -> io::Result<()> {
    let Some(folder) = env::args_os().nth(1) else {
        return Err(io::Error::other("usage: seeds FOLDER"));
    };
    for (target, _) in TARGETS {
        let corpus = Path::new(&folder).join("corpus").join(target);
        fs::create_dir_all(&corpus)?;
        for (n, seed) in seeds(target).iter().enumerate() {
            fs::write(corpus.join(format!("seed-{n}")), seed)?;
        }
        for (n, input) in kept(target)?.iter().enumerate() {
            fs::write(corpus.join(format!("kept-{n}")), input)?;
        }
    }
    Ok(())
}

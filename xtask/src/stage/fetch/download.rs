//! One download: resumed where it was cut, checked before it gets its name.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use sha2::{Digest as _, Sha256};

use super::Shared;
use crate::cache::{Found, Part};
use crate::hash;
use crate::lock::Row;
use crate::mirror::{Answer, Mirror};

/// How long to wait for another process that downloads the same file before looking again.
const OTHER_PROCESS: Duration = Duration::from_millis(200);

const BUFFER_LEN: usize = 1 << 16;

/// Why a request ended before the file was whole.
enum Cut {
    /// The mirror lacks the file.
    Gone,
    /// Something that another try may mend.
    Retry(anyhow::Error),
    /// Something that it will not.
    Fatal(anyhow::Error),
}

/// What has been downloaded of a file.
struct Growing {
    part: Part,
    sum: Sha256,
    len: u64,
    /// Some of it is of an earlier run, which may have had another mirror.
    resumed: bool,
}

/// Returns the checked file, or none when the mirror lacks it.
pub fn run(shared: &Shared, mirror: &Mirror, row: &Row) -> anyhow::Result<Option<PathBuf>> {
    download(shared, mirror, row).with_context(|| format!("fetching package {} {}", row.name, row.version))
}

fn download(shared: &Shared, mirror: &Mirror, row: &Row) -> anyhow::Result<Option<PathBuf>> {
    let path = shared.packages.path(row);
    let Some(part) = open(shared, row)? else { return Ok(Some(path)) };
    let mut growing = Growing { part, sum: Sha256::new(), len: 0, resumed: false };
    growing.resume(shared, row)?;
    loop {
        if !complete(shared, mirror, row, &mut growing)? {
            growing.part.discard()?;
            return Ok(None);
        }
        let found = hash::hex(&growing.sum.clone().finalize());
        if found == row.sha256 {
            growing.part.finish(&path)?;
            return Ok(Some(path));
        }
        if !growing.resumed {
            growing.part.discard()?;
            bail!(
                "its SHA-256 is {found}, expected {}; it is deleted. The mirror {mirror} serves another file \
                 than the locked one: give another with --mirror, or lock again with `cargo xtask lock`",
                row.sha256
            );
        }
        growing.restart(shared)?;
    }
}

/// Opens the growing file. Returns none when another process finished it meanwhile.
fn open(shared: &Shared, row: &Row) -> anyhow::Result<Option<Part>> {
    loop {
        if let Some(part) = Part::open(shared.packages.part(row))? {
            return match shared.packages.find(row, &shared.seen)? {
                Found::Good(_) => part.discard().map(|()| None),
                Found::Missing | Found::Bad { .. } => Ok(Some(part)),
            };
        }
        wait(shared, OTHER_PROCESS)?;
    }
}

/// Downloads until all bytes are there. Returns false when the mirror lacks the file.
fn complete(shared: &Shared, mirror: &Mirror, row: &Row, growing: &mut Growing) -> anyhow::Result<bool> {
    let (mut tries, mut pause) = (1, mirror.patience.pause);
    while growing.len < row.size {
        let before = growing.len;
        match request(shared, mirror, row, growing) {
            Ok(()) => {}
            Err(Cut::Gone) => return Ok(false),
            Err(Cut::Fatal(err)) => return Err(err),
            Err(Cut::Retry(_)) if before < growing.len => (tries, pause) = (1, mirror.patience.pause),
            Err(Cut::Retry(err)) if mirror.patience.tries <= tries => {
                return Err(err).with_context(|| {
                    format!("trying {tries} times (check the network, or give another mirror with --mirror)")
                });
            }
            Err(Cut::Retry(_)) => {
                wait(shared, pause)?;
                (tries, pause) = (tries + 1, pause * 2);
            }
        }
    }
    Ok(true)
}

/// Asks once, from the first missing byte on.
fn request(shared: &Shared, mirror: &Mirror, row: &Row, growing: &mut Growing) -> Result<(), Cut> {
    let (from, mut reader) = match mirror.get(&row.mirror_path(), growing.len).map_err(Cut::Retry)? {
        Answer::Gone => return Err(Cut::Gone),
        Answer::PastEnd if growing.resumed => return growing.restart(shared).map_err(Cut::Fatal),
        Answer::PastEnd => return Err(Cut::Fatal(wrong_size(row, mirror, growing.len))),
        Answer::Body { from, reader } => (from, reader),
    };
    if from != growing.len {
        growing.restart(shared).map_err(Cut::Fatal)?;
    }
    let mut buffer = vec![0; BUFFER_LEN];
    loop {
        if shared.stopped() {
            return Err(Cut::Fatal(anyhow!("stopped")));
        }
        let n = reader
            .read(&mut buffer)
            .with_context(|| format!("reading {} from the mirror {mirror}", row.mirror_path()))
            .map_err(Cut::Retry)?;
        if n == 0 {
            break;
        }
        growing.add(shared, &buffer[..n]).map_err(Cut::Fatal)?;
        if row.size < growing.len {
            let err = wrong_size(row, mirror, growing.len);
            // Emptied, so that a later run with another mirror does not resume it.
            growing.restart(shared).map_err(Cut::Fatal)?;
            return Err(Cut::Fatal(err));
        }
    }
    if growing.len < row.size {
        return Err(Cut::Retry(anyhow!(
            "the connection to the mirror {mirror} was cut after {} of {} bytes of {}",
            growing.len,
            row.size,
            row.mirror_path()
        )));
    }
    Ok(())
}

fn wrong_size(row: &Row, mirror: &Mirror, found: u64) -> anyhow::Error {
    anyhow!(
        "the mirror {mirror} serves {found} bytes or more, expected {}: give another mirror with --mirror, or \
         lock again with `cargo xtask lock`",
        row.size
    )
}

impl Growing {
    /// Takes over what an earlier run left.
    fn resume(&mut self, shared: &Shared, row: &Row) -> anyhow::Result<()> {
        self.part.file().seek(SeekFrom::Start(0)).context("reading an earlier download")?;
        let mut buffer = vec![0; BUFFER_LEN];
        loop {
            let n = self.part.file().read(&mut buffer).context("reading an earlier download")?;
            if n == 0 {
                break;
            }
            self.sum.update(&buffer[..n]);
            self.len += u64::try_from(n)?;
        }
        shared.bar.inc(self.len);
        self.resumed = self.len != 0;
        if row.size < self.len { self.restart(shared) } else { Ok(()) }
    }

    fn add(&mut self, shared: &Shared, bytes: &[u8]) -> anyhow::Result<()> {
        self.part.append(bytes)?;
        self.sum.update(bytes);
        let n = u64::try_from(bytes.len())?;
        self.len += n;
        shared.bar.inc(n);
        Ok(())
    }

    fn restart(&mut self, shared: &Shared) -> anyhow::Result<()> {
        self.part.restart()?;
        shared.bar.dec(self.len);
        (self.sum, self.len, self.resumed) = (Sha256::new(), 0, false);
        Ok(())
    }
}

/// Sleeps unless the run is to end.
fn wait(shared: &Shared, time: Duration) -> anyhow::Result<()> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        if shared.stopped() {
            bail!("stopped");
        }
        std::thread::sleep(super::TICK.min(time));
    }
    Ok(())
}

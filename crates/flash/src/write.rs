//! Writes a plan to a device in the order in which nothing half made ever looks whole, and reads it back.
//!
//! | step | what |
//! | --- | --- |
//! | 1 | both places of a partition table are zeroed; sync |
//! | 2 | zeros and chunks of the partitions; probes behind them; the tables without their headers; sync |
//! | 3 | all of that is read back from the medium and compared |
//! | 4 | the backup's header; sync; the primary header and the MBR; sync |
//! | 5 | the tables are read back and compared |
//!
//! So a device has a table of ours only after every other byte was read back from it.

use std::io::{self, Read, SeekFrom};
use std::ops::ControlFlow;

use disk_image::{Device, Extent};
use sha2::{Digest as _, Sha256};

use crate::plan::{Content, Plan};
use crate::{CHUNK, CHUNK_LEN, is_zero, read_chunk};

/// Chunks that are written between two syncs: what the kernel still holds back is not progress.
const SYNC_EVERY: u64 = 32;
/// Bytes of a probe: what every device and file system can read past its caches.
const PROBE_LEN: usize = 4096;

/// A device that a plan is written to.
pub trait Target: Device {
    /// Makes a range zero without writing it; returns `false`, with the range as it was or zero in parts, where the
    /// device cannot.
    fn punch(&mut self, extent: Extent) -> io::Result<bool>;

    /// Reads from the medium, past what the machine remembers of it.
    fn read_back(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Bytes done of this phase.
    pub done: u64,
    /// Bytes of this phase.
    pub total: u64,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The image is written.
    Writing,
    /// It is read back.
    Verifying,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Bytes that were written.
    pub written: u64,
    /// Bytes that the device zeroed by itself.
    pub punched: u64,
    /// Bytes that were read back.
    pub verified: u64,
}

/// Why a device does not have the image. It has no table of ours then, or one whose every other byte was verified.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The image cannot be read a second time.
    #[error("reading the image at byte {offset}")]
    Image {
        /// Where.
        offset: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The image is another one than was checked.
    #[error("the image has changed at byte {offset} since it was checked")]
    Changed {
        /// Where.
        offset: u64,
    },
    /// The device does not take bytes.
    #[error("writing at byte {offset}")]
    Write {
        /// Where.
        offset: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The device does not make bytes durable.
    #[error("syncing")]
    Sync(#[source] io::Error),
    /// The device does not give bytes.
    #[error("reading back at byte {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The device gives other bytes.
    #[error(
        "what was written at byte {offset} does not read back: the device is failing, or has less room than it says"
    )]
    Mismatch {
        /// Start of the chunk.
        offset: u64,
    },
    /// The caller wants to end.
    #[error("interrupted")]
    Interrupted,
}

/// Is told how far it is, and may end it.
pub type Watch<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// Writes `plan`, whose image `image` gives again from its start, and verifies it.
pub fn write(
    target: &mut impl Target,
    image: &mut dyn Read,
    plan: &Plan,
    watch: Watch<'_>,
) -> Result<Written, WriteError> {
    let mut job = Job { target, plan, watch, written: 0, punched: 0, unsynced: 0 };
    job.wipe()?;
    let must_zero = job.zero()?;
    job.body(image, must_zero)?;
    let verified = job.verify_body()?;
    let sealed = job.seal().and_then(|()| job.verify_seals());
    if let Err(err) = sealed {
        // The error counts; a device that is gone cannot be wiped, and its bytes were verified.
        job.wipe().ok();
        return Err(err);
    }
    Ok(Written { written: job.written, punched: job.punched, verified })
}

struct Job<'a, T> {
    target: &'a mut T,
    plan: &'a Plan,
    watch: Watch<'a>,
    written: u64,
    punched: u64,
    unsynced: u64,
}

impl<T: Target> Job<'_, T> {
    fn tail_at(&self) -> u64 {
        self.plan.device_len - CHUNK
    }

    /// Takes both tables away.
    fn wipe(&mut self) -> Result<(), WriteError> {
        let zeros = vec![0; CHUNK_LEN];
        for offset in [0, self.tail_at()] {
            self.put(offset, &zeros)?;
        }
        self.sync()
    }

    /// Lets the device zero what has to be zero, and says whether that is left to be written.
    fn zero(&mut self) -> Result<bool, WriteError> {
        for extent in self.plan.zeros() {
            let punched = self.target.punch(extent);
            if !punched.map_err(|source| WriteError::Write { offset: extent.offset, source })? {
                self.punched = 0;
                return Ok(true);
            }
            self.punched += extent.len;
        }
        Ok(false)
    }

    /// Writes everything but the sectors that make a table one.
    fn body(&mut self, image: &mut dyn Read, must_zero: bool) -> Result<(), WriteError> {
        let plan = self.plan;
        let total = if must_zero { CHUNK * len_of(plan.pieces.len() + 2) } else { plan.data_len() };
        let (mut done, mut at, mut chunk) = (0, 0, vec![]);
        for piece in &plan.pieces {
            match &piece.content {
                Content::Image(digest) => {
                    // The image is a stream: what lies between is read and not used.
                    while at <= piece.offset {
                        let fails = |source| WriteError::Image { offset: at, source };
                        read_chunk(image, &mut chunk).map_err(fails)?;
                        at += CHUNK;
                        self.go_on(Phase::Writing, done, total)?;
                    }
                    if Sha256::digest(&chunk)[..] != digest[..] {
                        return Err(WriteError::Changed { offset: piece.offset });
                    }
                    self.put(piece.offset, &chunk)?;
                }
                Content::Own(bytes) => self.put(piece.offset, bytes)?,
                Content::Zero if !must_zero => continue,
                Content::Zero => self.put_zeros(piece.offset, &mut chunk)?,
            }
            done += CHUNK;
            self.go_on(Phase::Writing, done, total)?;
        }
        for probe in &plan.probes {
            self.put(*probe, &probe_bytes(*probe))?;
            self.go_on(Phase::Writing, done, total)?;
        }
        let (head, tail) = (unsealed_head(plan), unsealed_tail(plan));
        self.put(0, &head)?;
        self.put(self.tail_at(), &tail)?;
        self.sync()?;
        self.go_on(Phase::Writing, total, total)
    }

    /// Writes zeros only where the device holds something else: most devices read faster than they write.
    fn put_zeros(&mut self, offset: u64, chunk: &mut Vec<u8>) -> Result<(), WriteError> {
        chunk.resize(CHUNK_LEN, 0);
        let read = self.target.seek(SeekFrom::Start(offset)).and_then(|_| self.target.read_exact(chunk));
        read.map_err(|source| WriteError::Read { offset, source })?;
        if is_zero(chunk) {
            return Ok(());
        }
        chunk.fill(0);
        self.put(offset, chunk)
    }

    /// Reads back all but the sectors that make a table one, which are not there yet.
    fn verify_body(&mut self) -> Result<u64, WriteError> {
        let plan = self.plan;
        let total = CHUNK * len_of(plan.pieces.len() + 2);
        let (mut done, mut chunk) = (0, vec![0; CHUNK_LEN]);
        for piece in &plan.pieces {
            self.read_back(piece.offset, &mut chunk)?;
            let is_right = match &piece.content {
                Content::Image(digest) => Sha256::digest(&chunk)[..] == digest[..],
                Content::Own(bytes) => chunk == *bytes,
                Content::Zero => is_zero(&chunk),
            };
            if !is_right {
                return Err(WriteError::Mismatch { offset: piece.offset });
            }
            done += CHUNK;
            self.go_on(Phase::Verifying, done, total)?;
        }
        for probe in &plan.probes {
            self.compare(*probe, &probe_bytes(*probe))?;
            self.go_on(Phase::Verifying, done, total)?;
        }
        self.compare(0, &unsealed_head(plan))?;
        self.compare(self.tail_at(), &unsealed_tail(plan))?;
        self.go_on(Phase::Verifying, total, total)?;
        Ok(total)
    }

    /// Makes the tables valid: the backup, then the primary.
    fn seal(&mut self) -> Result<(), WriteError> {
        let plan = self.plan;
        self.put(plan.device_len - len_of(tail_seals(plan)), &plan.tail[CHUNK_LEN - tail_seals(plan)..])?;
        self.sync()?;
        self.put(0, &plan.head[..head_seals(plan)])?;
        self.sync()
    }

    fn verify_seals(&mut self) -> Result<(), WriteError> {
        let plan = self.plan;
        self.compare(self.tail_at(), &plan.tail)?;
        self.compare(0, &plan.head)
    }

    fn compare(&mut self, offset: u64, expected: &[u8]) -> Result<(), WriteError> {
        let mut found = vec![0; expected.len()];
        self.read_back(offset, &mut found)?;
        if found == expected { Ok(()) } else { Err(WriteError::Mismatch { offset }) }
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<(), WriteError> {
        let written = self.target.seek(SeekFrom::Start(offset)).and_then(|_| self.target.write_all(bytes));
        written.map_err(|source| WriteError::Write { offset, source })?;
        self.written += len_of(bytes.len());
        self.unsynced += 1;
        if self.unsynced < SYNC_EVERY { Ok(()) } else { self.sync() }
    }

    fn sync(&mut self) -> Result<(), WriteError> {
        self.unsynced = 0;
        self.target.sync().map_err(WriteError::Sync)
    }

    fn read_back(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), WriteError> {
        self.target.read_back(offset, buffer).map_err(|source| WriteError::Read { offset, source })
    }

    fn go_on(&mut self, phase: Phase, done: u64, total: u64) -> Result<(), WriteError> {
        match (self.watch)(Progress { phase, done, total }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(WriteError::Interrupted),
        }
    }
}

/// What is written at a probe: its place, over and over.
fn probe_bytes(offset: u64) -> [u8; PROBE_LEN] {
    let mut bytes = [0xa5; PROBE_LEN];
    for part in bytes.chunks_exact_mut(16) {
        part[..8].copy_from_slice(&offset.to_le_bytes());
    }
    bytes
}

/// Bytes at the start that make a table one: the blocks of MBR and header.
fn head_seals(plan: &Plan) -> usize {
    2 * plan.block_size.as_usize()
}

/// Bytes at the end that make a backup one: the block of its header.
fn tail_seals(plan: &Plan) -> usize {
    plan.block_size.as_usize()
}

/// The first chunk without MBR and header.
fn unsealed_head(plan: &Plan) -> Vec<u8> {
    let mut head = plan.head.clone();
    head[..head_seals(plan)].fill(0);
    head
}

/// The last chunk with something else in the place of its header: a device that puts the end elsewhere, onto what was
/// written there, is found before it has a table.
fn unsealed_tail(plan: &Plan) -> Vec<u8> {
    let mut tail = plan.tail.clone();
    tail[CHUNK_LEN - tail_seals(plan)..].iter_mut().for_each(|byte| *byte = !*byte);
    tail
}

fn len_of(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

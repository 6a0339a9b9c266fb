//! Whatever fails while a device is written: it has a table of ours only when every byte behind it is right.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "support/fake.rs"]
mod fake;
#[path = "support/image.rs"]
mod image;

use std::io::Cursor;
use std::ops::ControlFlow;

use disk_image::{LogicalBlockSize, Source, Table};
use fake::{Fake, Fault, Keeps};
use flash::{Content, Phase, Plan, Survey, WriteError, Written, write};
use image::{EVEN, MIB, SMALL, plan, surveyed_in};
use sha2::{Digest as _, Sha256};

/// No multiple of a chunk, as real devices are.
const DEVICE_LEN: u64 = 30 * MIB + 3 * 512;
/// The same of a device with larger blocks.
const DEVICE_LEN_4096: u64 = 30 * MIB + 3 * 4096;

struct Case {
    image: Vec<u8>,
    survey: Survey,
    plan: Plan,
    /// A device that had an image of ours before, and 0xff wherever that has nothing.
    old: Vec<u8>,
}

fn case() -> Case {
    case_of(image::image(SMALL), LogicalBlockSize::Lb512, DEVICE_LEN)
}

/// An image that is laid anew for a device with larger blocks.
fn case_4096() -> Case {
    let block_size = LogicalBlockSize::Lb4096;
    case_of(image::composed_bytes(EVEN, block_size), block_size, DEVICE_LEN_4096)
}

fn case_of(image: Vec<u8>, block_size: LogicalBlockSize, device_len: u64) -> Case {
    let survey = surveyed_in(&image, block_size);
    let old_plan = plan(&survey, device_len, 100);
    let mut old = Fake::new(vec![0xff; len(device_len)], Fault::None);
    write(&mut old, &mut &image[..], &old_plan, &mut |_| ControlFlow::Continue(())).unwrap();
    for piece in old_plan.pieces.iter().filter(|piece| piece.content == Content::Zero) {
        old.medium[len(piece.offset)..len(piece.offset + MIB)].fill(0xff);
    }
    Case { plan: plan(&survey, device_len, 1), image, survey, old: old.medium }
}

fn len(len: u64) -> usize {
    usize::try_from(len).unwrap()
}

impl Case {
    fn write(&self, fake: &mut Fake) -> Result<Written, WriteError> {
        write(fake, &mut &self.image[..], &self.plan, &mut |_| ControlFlow::Continue(()))
    }

    fn fake(&self, fault: Fault) -> Fake {
        Fake::new(self.old.clone(), fault)
    }

    fn is_body_right(&self, medium: &[u8]) -> bool {
        self.plan.pieces.iter().all(|piece| {
            let found = &medium[len(piece.offset)..len(piece.offset + MIB)];
            match &piece.content {
                Content::Image(digest) => Sha256::digest(found)[..] == digest[..],
                Content::Own(bytes) => found == bytes,
                Content::Zero => found == vec![0; found.len()],
            }
        })
    }

    /// Returns how many operations it takes when nothing fails.
    fn n_operations(&self) -> usize {
        let mut whole = self.fake(Fault::None);
        assert!(self.judge(&"nothing fails", &mut whole));
        assert!(45 < whole.operations, "{}", whole.operations);
        whole.operations
    }

    /// Fails unless the outcome is told as it is. Returns whether it is said to be done.
    fn judge(&self, what: &dyn std::fmt::Debug, fake: &mut Fake) -> bool {
        let outcome = self.write(fake);
        let table = Table::read(&mut Cursor::new(&mut fake.medium), self.plan.block_size);
        let has_ours = table.as_ref().is_ok_and(|table| table.disk_guid() == self.plan.disk_guid);
        let is_right = self.is_body_right(&fake.medium);
        match outcome {
            Ok(_) => {
                assert!(is_right && has_ours, "{what:?}: false success");
                assert_eq!(table.unwrap().source(), Source::Primary, "{what:?}");
                true
            }
            Err(err) => {
                assert!(!has_ours || is_right, "{what:?}: {err}: looks whole and is not");
                false
            }
        }
    }
}

#[test]
fn every_operation_may_fail() {
    let case = case();
    check_every_operation(&case, |at| {
        vec![
            Fault::Fails { at },
            Fault::Pulled { at, keeps: Keeps::All },
            Fault::Pulled { at, keeps: Keeps::Nothing },
            Fault::Pulled { at, keeps: Keeps::Every2nd },
        ]
    });
    for at in 0..case.n_operations() {
        for fault in [Fault::Torn { at }, Fault::Dropped { at }, Fault::Corrupts { at }] {
            case.judge(&fault, &mut case.fake(fault));
        }
    }
}

#[test]
fn a_device_with_blocks_of_4096_bytes_may_be_pulled_out_at_any_moment() {
    let case = case_4096();
    check_every_operation(&case, |at| vec![Fault::Pulled { at, keeps: Keeps::All }, Fault::Torn { at }]);
}

/// Fails unless each of the faults, at any operation, is told.
#[track_caller]
fn check_every_operation(case: &Case, faults: impl Fn(usize) -> Vec<Fault>) {
    for at in 0..case.n_operations() {
        for fault in faults(at) {
            // Only writes can be torn. Punches here are only asked for: the device cannot, which is no operation that
            // could fail a write.
            let is_told = !case.judge(&fault, &mut case.fake(fault));
            assert!(is_told || matches!(fault, Fault::Torn { .. }), "{fault:?} is not told");
        }
    }
}

#[test]
fn the_same_with_a_device_that_zeroes_by_itself() {
    let case = case();
    let mut whole = case.fake(Fault::None).punching(true);
    assert!(case.judge(&"nothing fails", &mut whole));
    assert!(3 * MIB < whole.punched, "{}", whole.punched);
    for at in 0..whole.operations {
        for fault in [Fault::Fails { at }, Fault::Pulled { at, keeps: Keeps::Nothing }, Fault::Dropped { at }]
        {
            case.judge(&fault, &mut case.fake(fault).punching(true));
        }
    }
}

#[test]
fn a_device_with_less_room_than_it_says_is_found() {
    let case = case();
    let tail = DEVICE_LEN - MIB;
    assert_eq!(case.plan.probes, [26 * MIB]);
    for at in (MIB..DEVICE_LEN).step_by(len(MIB / 2)).chain([DEVICE_LEN - 512, tail, tail + 512]) {
        for fault in [Fault::Wraps { at }, Fault::Forgets { at }] {
            let mut fake = case.fake(fault);
            let outcome = case.write(&mut fake);
            assert!(matches!(outcome, Err(WriteError::Mismatch { .. })), "{fault:?}: {outcome:?}");
        }
    }
}

#[test]
fn an_interruption_leaves_no_table_at_any_moment() {
    let case = case();
    let mut n_calls = 0;
    let mut count = |_| {
        n_calls += 1;
        ControlFlow::Continue(())
    };
    write(&mut case.fake(Fault::None), &mut &case.image[..], &case.plan, &mut count).unwrap();
    for stop in 0..n_calls {
        let (mut fake, mut left) = (case.fake(Fault::None), stop);
        let mut watch = |_| match left {
            0 => ControlFlow::Break(()),
            _ => {
                left -= 1;
                ControlFlow::Continue(())
            }
        };
        let outcome = write(&mut fake, &mut &case.image[..], &case.plan, &mut watch);
        assert!(matches!(outcome, Err(WriteError::Interrupted)), "{stop}: {outcome:?}");
        let table = Table::read(&mut Cursor::new(&mut fake.medium), LogicalBlockSize::Lb512);
        assert!(table.is_err(), "{stop}");
    }
}

#[test]
fn an_image_that_changes_meanwhile_is_refused() {
    let case = case();
    let usr = len(image::extents(SMALL)[1].offset);
    let mut changed = case.image.clone();
    changed[usr] ^= 1;
    let outcome =
        write(&mut case.fake(Fault::None), &mut &changed[..], &case.plan, &mut |_| ControlFlow::Continue(()));
    assert!(matches!(outcome, Err(WriteError::Changed { offset }) if len(offset) == usr), "{outcome:?}");
    let outcome = write(&mut case.fake(Fault::None), &mut &changed[..usr], &case.plan, &mut |_| {
        ControlFlow::Continue(())
    });
    assert!(matches!(outcome, Err(WriteError::Changed { .. })), "{outcome:?}");
}

#[test]
fn zeros_are_written_only_where_something_else_is_and_progress_ends_at_its_total() {
    let case = case();
    let n_zero = case.plan.pieces.iter().filter(|piece| piece.content == Content::Zero).count();
    assert!(5 < n_zero, "{n_zero}");
    let written = |medium: Vec<u8>, can_punch| {
        let mut last = vec![];
        let mut fake = Fake::new(medium, Fault::None).punching(can_punch);
        let written = write(&mut fake, &mut &case.image[..], &case.plan, &mut |progress| {
            last.push(progress);
            ControlFlow::Continue(())
        });
        for phase in [Phase::Writing, Phase::Verifying] {
            let of_phase: Vec<_> = last.iter().filter(|progress| progress.phase == phase).collect();
            assert!(of_phase.is_sorted_by_key(|progress| progress.done));
            assert!(of_phase.iter().all(|progress| progress.done <= progress.total));
            assert_eq!(of_phase.last().unwrap().done, of_phase.last().unwrap().total);
        }
        written.unwrap()
    };
    let zeros = u64::try_from(n_zero).unwrap() * MIB;
    let blank = written(vec![0; len(DEVICE_LEN)], false);
    let full = written(vec![0xff; len(DEVICE_LEN)], false);
    let punched = written(vec![0xff; len(DEVICE_LEN)], true);
    assert_eq!((blank.punched, full.written - blank.written), (0, zeros));
    assert_eq!((punched.punched, punched.written), (zeros, blank.written));
    // The last partition's end, the tables twice, and their seals.
    assert!(blank.written < case.survey.len, "{blank:?}");
}

//! Where units go: a pass over a snapshot of the registry decides what is to be written.
//!
//! Nothing here reads a clock or the store. Whoever runs the engine keeps to these rules; the simulation in
//! `tests/simulation` breaks them one by one and shows what happens then.
//!
//! 1. *Term.* Put `engine` on a lease of its own, create only, and keep its create revision. After that, and not
//!    before, read everything anew and begin with an empty [`Snapshot`]: writes of the term before cannot come any
//!    more, so what is read has all of them.
//! 2. *Before each pass* bring the snapshot up to date and call [`Snapshot::observe`]. Call [`Losses::away`]
//!    with the time of its last answer when the store stops to answer, and [`Losses::back`] when it does again; make no
//!    pass between them. The same holds for half of the term's time to live without an answer, whoever was asleep.
//! 3. *Pass* after each change and when [`Snapshot::due`] says so, but only when the snapshot is at least at the
//!    revision of the engine's own last write. A pass on what was before it would decide the same again, and not
//!    necessarily for the same machine.
//! 4. *Write* decisions in order, each in one transaction that compares `engine`'s create revision and the
//!    modifications that the decision names. Stop at the first that is refused for another reason than the term: the
//!    snapshot is behind, and the change that it lacks wakes the next pass.
//! 5. *End the term* at once when `engine` is not one's own any more, or when the outcome of a write is not known: such
//!    a write may come after all, and only another create revision keeps it out. Begin again at 1.
//!
//! What [`told`] gives after a pass is written for people: no decision hangs on it.

mod board;
mod choose;
mod decision;
mod eligible;
mod explain;
mod losses;
mod pass;
mod rebalance;
mod settings;
mod snapshot;
mod told;

pub use decision::{Action, Decision, Reason};
pub use eligible::Objection;
pub(crate) use eligible::{conflict, metadata};
pub use explain::{Explanation, explain};
pub use losses::{Losses, Verdict, Wait};
pub use pass::pass;
pub use rebalance::{Move, rebalance};
pub use settings::Settings;
pub use snapshot::{Claim, Entry, Known, Place, Reported, Seen, Snapshot, Unit};
pub use told::{Told, told};

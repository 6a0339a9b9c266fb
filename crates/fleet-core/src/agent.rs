//! What a machine does: a plan from what the registry wants of it, what it has, and what it remembers.
//!
//! Nothing here reads a clock, the store or the service manager. Whoever runs an agent keeps to these rules; the
//! simulation in `tests/simulation` breaks them one by one and shows what happens then.
//!
//! 1. *Lease.* One for the machine's key and its reports. After a restart of the process go on with the one before if
//!    it still lives; otherwise take a new one and put `machines/<id>` with it. The moment until which exclusive units
//!    may run is [`exclusive::until`] of when the answered keep-alive, or the grant, was *sent*; it is handed to the
//!    guard before any exclusive unit is started, and never set back.
//! 2. *Lease gone or overdue.* Call [`Memory::overdue`], at the latest when the moment has passed. With a new lease put
//!    the machine's key and after that, because the engine may remove claims until then, read which claims in the store
//!    are this machine's ([`Memory::claims_read`]); read all parts again, and then call [`Memory::came_back`] once.
//!    After a reboot there is no memory: the claims are read all the same, because the store remembers them.
//! 3. *Reading.* From the moment at which the connection is lost until all parts were read again it is
//!    [`Reading::Partial`]. The parts are `schedule/<machine>/`, `global/`, `meta/<machine>/`, `hold/<machine>` and
//!    `marker`.
//! 4. *Plan* after each change of what is wanted or here, and when a surplus unit's time is over. Do the tasks in order.
//!    Before each call [`Memory::begin`], after each that succeeds [`Memory::done`], and write the memory down each time.
//!    A task that fails, and a claim that is refused, leaves out the later tasks of its unit; the next plan has them
//!    again. A new plan takes the place of what is left of the one before.
//! 5. *Writes* are transactions that compare the modification of one's own `machines/<id>`. One of unknown outcome may
//!    come late, so after it that key is put anew, which keeps it out, and only then claims and reports of one's own are
//!    read again. A late removal of a claim that is in use again would give the unit away, a late report would stay.
//! 6. *Surplus units* are looked up while there are any in the memory: once which machine's entry there is, then that
//!    machine's report ([`Elsewhere::of`]).
//! 7. *Reports* are put when [`reports`] differ from what was put, and removed when they are not in it. A new lease
//!    needs all of them again.

mod chosen;
pub mod exclusive;
mod memory;
mod plan;
mod report;
mod wanted;

pub use memory::{Memory, Started};
pub use plan::{Task, plan};
pub use report::reports;
pub use wanted::{Elsewhere, Here, Job, KnownWish, Lease, Local, Reading, Wanted, Wish};

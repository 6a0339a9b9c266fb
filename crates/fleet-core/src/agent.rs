//! What a machine does: a plan from what the registry wants of it, what it has, and what it remembers.
//!
//! Nothing here reads a clock, the store or the service manager. Whoever runs an agent keeps to these rules; the
//! simulation in `tests/simulation` breaks them one by one and shows what happens then.
//!
//! 1. *Lease.* One for the machine's key and its reports. After a restart of the process go on with the one before if
//!    it still lives; otherwise take a new one and put `machines/<id>` with it. The moment until which exclusive units
//!    may run is [`exclusive::until`] of when the answered keep-alive, or the grant, was *sent*; it is handed to the
//!    guard before any exclusive unit is started, and never set back.
//! 2. *Lease gone or overdue.* Call [`Memory::overdue`], at the latest when the moment has passed. With a new lease read
//!    which claims in the store are this machine's ([`Memory::claims_read`]), put its key, read all parts again, and then
//!    call [`Memory::came_back`] once.
//!    After a reboot there is no memory: the claims are read all the same, because the store remembers them.
//! 3. *Reading.* From the moment at which the connection is lost until all parts were read again it is
//!    [`Reading::Partial`]. The parts are `schedule/<machine>/`, `global/`, `meta/<machine>/`, `hold/<machine>` and
//!    `marker`.
//! 4. *Plan* after each change of what is wanted or here, and when a surplus unit's time is over. Do the tasks in order.
//!    After each that succeeds call [`Memory::done`] and write the memory down before the next. A task that fails, and
//!    a claim that is refused, leaves out the later tasks of its unit; the next plan has them again.
//! 5. *A claim of unknown outcome* is read again before the next plan, as in 2.
//! 6. *Surplus units* are looked up while there are any in the memory: once which machine's entry there is, then that
//!    machine's report ([`Elsewhere::of`]).
//! 7. *Reports* are put when [`reports`] differ from what was put, and removed when they are not in it. After one of
//!    unknown outcome one's own are listed again.

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

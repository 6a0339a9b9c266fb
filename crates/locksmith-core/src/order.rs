//! The order of a reboot: from what is seen of a machine and its group to the one thing that is done next.
//!
//! [`step`] is level-triggered. It decides anew from what is seen, so a daemon that was killed goes on where the machine
//! is; what [`Memory`] has is only about users that were told, pauses between tries and what need not be read again.
//!
//! | file | what |
//! | --- | --- |
//! | `step.rs` | which of the others decides |
//! | `release.rs` | a slot of another boot: it comes before everything |
//! | `approach.rs` | wanted, window, notice, pause |
//! | `lock.rs` | group, quorum, a free slot |
//! | `held.rs` | a slot of this boot: drain, reboot, or give back |
//! | `seen.rs`, `memory.rs`, `next.rs` | what goes in, what stays, what comes out |

mod approach;
mod held;
mod lock;
mod memory;
mod moment;
mod next;
mod release;
mod seen;
mod step;

pub use memory::Memory;
pub use moment::Moment;
pub use next::{Next, Phase, Step};
pub use seen::{Fleet, Hold, Last, LocalEtcd, Me, Own, Reading, Seen, Settings, Wish, own};
pub use step::step;

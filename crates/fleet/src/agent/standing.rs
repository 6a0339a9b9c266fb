//! How this machine stands with the cluster: whether its lease lives, and whether it is the only one of its id.

use std::time::Duration;

use etcd_rpc::LeaseId;
use fleet_core::moment::Moment;

/// How this machine stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is not a member yet: the store was not reached, or a lease of before the last boot has not ended.
    Joining {
        /// What keeps it, in a line that ends in the remedy.
        why: Option<String>,
    },
    /// Its key is in the store.
    Member(Membership),
    /// Another machine with the same id is. This one does not serve.
    Twin {
        /// That, in a line that ends in the remedy.
        why: String,
    },
}

/// What a member has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Its lease.
    pub lease: LeaseId,
    /// The modification of the machine's key, which all writes of the agent compare: a new one keeps out what was sent
    /// before it and comes late.
    pub modification: i64,
    /// Until when the lease lives, by the clock of [`crate::guard::boot_time`], if nobody revokes it.
    pub lives_until: Moment,
    /// Until when exclusive units may run.
    pub until: Moment,
}

impl Standing {
    /// Returns the membership, if the lease surely lives at `now`.
    pub fn alive(&self, now: Moment) -> Option<&Membership> {
        match self {
            Self::Member(membership) => Some(membership).filter(|membership| now < membership.lives_until),
            Self::Joining { .. } | Self::Twin { .. } => None,
        }
    }
}

/// What is known of the lease that another process has put this machine's key on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Other {
    lease: i64,
    /// When it ends if nobody renews it.
    ends: Moment,
}

/// What is to be thought of such a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may be of before the last boot and then ends soon.
    Wait,
    /// Somebody renews it.
    Lives,
}

/// How far a lease's remaining time is off, with the way of the answer.
const INACCURACY: Duration = Duration::from_secs(2);

impl Other {
    /// Judges a lease that has `remaining` at `now`, given what was known of it.
    pub(super) fn judge(
        before: Option<Self>,
        lease: i64,
        remaining: Duration,
        now: Moment,
    ) -> (Self, Verdict) {
        let ends = now.after(remaining);
        match before.filter(|before| before.lease == lease) {
            Some(before) if ends > before.ends.after(INACCURACY) => (before, Verdict::Lives),
            Some(before) => (before, Verdict::Wait),
            None => (Self { lease, ends }, Verdict::Wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(seconds * 1_000)
    }

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn a_lease_that_runs_out_is_waited_for() {
        let (other, verdict) = Other::judge(None, 7, S(20), at(100));
        assert_eq!(verdict, Verdict::Wait);
        for passed in 1..20 {
            let (_, verdict) = Other::judge(Some(other), 7, S(20 - passed), at(100 + passed));
            assert_eq!(verdict, Verdict::Wait, "{passed}");
        }
    }

    #[test]
    fn a_lease_that_is_renewed_is_somebodys() {
        let (other, _) = Other::judge(None, 7, S(20), at(100));
        let (other, verdict) = Other::judge(Some(other), 7, S(15), at(105));
        assert_eq!(verdict, Verdict::Wait);
        let (_, verdict) = Other::judge(Some(other), 7, S(29), at(108));
        assert_eq!(verdict, Verdict::Lives);
    }

    #[test]
    fn another_lease_is_judged_anew() {
        let (other, _) = Other::judge(None, 7, S(1), at(100));
        let (_, verdict) = Other::judge(Some(other), 8, S(30), at(101));
        assert_eq!(verdict, Verdict::Wait);
    }

    #[test]
    fn a_member_whose_lease_may_have_ended_is_not_alive() {
        let membership =
            Membership { lease: LeaseId(7), modification: 3, lives_until: at(130), until: at(120) };
        let standing = Standing::Member(membership.clone());
        assert_eq!(standing.alive(at(129)), Some(&membership));
        assert_eq!(standing.alive(at(130)), None);
        assert_eq!(Standing::Joining { why: None }.alive(at(0)), None);
    }
}

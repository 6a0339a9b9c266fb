//! Rules of the runners that can be left out, each of which the checks must find out.

/// A rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Engine: writes do not compare the term.
    NoFence,
    /// Engine: passes although the snapshot lacks its own last write.
    PassBehind,
    /// Engine: goes on after a write of unknown outcome.
    UnknownIgnored,
    /// Engine: begins a term with the snapshot of the one before.
    OldSnapshot,
    /// Engine: moves units of a machine at once when it is lost.
    NoGrace,
    /// Engine: counts the grace while the store does not answer.
    GraceWhileAway,
    /// Engine: removes a lost machine's claims at once.
    ClaimsNotKept,
    /// Engine: removes the claim of a machine that may be back by now.
    BlindRelease,
    /// Agent: starts exclusive units without a claim.
    NoClaim,
    /// Agent: claims without comparing the entry and its own key.
    BlindClaim,
    /// Agent: writes do not compare its own key.
    NoOwnFence,
    /// Agent: exclusive units are not stopped when the lease is overdue.
    NoGuard,
    /// Agent: counts the lease from the answer, and thrice as long.
    LeaseTooLong,
    /// Agent: forgets claims never, even under a new lease.
    OldClaims,
    /// Agent: plans on what was read in part.
    PartialIsWhole,
    /// Agent: takes a registry without marker for a whole one.
    MarkerIgnored,
    /// Agent: the next process does not know what was started.
    Forgetful,
    /// Agent: only what is done is written down, not what is begun.
    BeginNotNoted,
    /// Agent: a unit that went elsewhere stays for ever.
    SurplusForever,
    /// Agent: does not put reports again that a new lease needs.
    OldReports,
    /// Agent: a claim whose unit has stopped is kept.
    ClaimKept,
}

/// All of them.
pub const FLAWS: [Flaw; 21] = [
    Flaw::NoFence,
    Flaw::PassBehind,
    Flaw::UnknownIgnored,
    Flaw::OldSnapshot,
    Flaw::NoGrace,
    Flaw::GraceWhileAway,
    Flaw::ClaimsNotKept,
    Flaw::BlindRelease,
    Flaw::NoClaim,
    Flaw::BlindClaim,
    Flaw::NoOwnFence,
    Flaw::NoGuard,
    Flaw::LeaseTooLong,
    Flaw::OldClaims,
    Flaw::PartialIsWhole,
    Flaw::MarkerIgnored,
    Flaw::Forgetful,
    Flaw::BeginNotNoted,
    Flaw::SurplusForever,
    Flaw::OldReports,
    Flaw::ClaimKept,
];

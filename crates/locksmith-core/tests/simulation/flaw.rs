//! Rules that can be left out, each of which the checks must find out.

/// A rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Writes do not compare the revision that was read.
    NoCompare,
    /// A lock of unknown outcome counts as taken, and nothing is looked at again.
    BlindReboot,
    /// The slot of the boot before is never given back.
    NoRelease,
    /// A boot counts as blessed from its beginning.
    Unblessed,
    /// That etcd is back is not waited for.
    EtcdIgnored,
    /// All members of etcd count as healthy.
    QuorumIgnored,
    /// What was read once is taken for what is.
    OldReading,
    /// The window is always open.
    WindowIgnored,
    /// The group does not hear of failures.
    FailureHidden,
    /// A version that failed elsewhere is not refused.
    RefusalIgnored,
    /// The machine is not undrained.
    NoUndrain,
    /// The slot does not say that the machine was drained.
    DrainNotNoted,
    /// The slot does not say in which boot it was taken.
    BootNotNoted,
    /// Holders are broken whatever fleet says.
    FleetIgnored,
    /// Slots end by themselves after a quarter of an hour.
    Leases,
    /// Users are not told.
    NoNotice,
    /// The version that is tried is not said.
    VersionNotNoted,
}

/// All of them.
pub const FLAWS: [Flaw; 17] = [
    Flaw::NoCompare,
    Flaw::BlindReboot,
    Flaw::NoRelease,
    Flaw::Unblessed,
    Flaw::EtcdIgnored,
    Flaw::QuorumIgnored,
    Flaw::OldReading,
    Flaw::WindowIgnored,
    Flaw::FailureHidden,
    Flaw::RefusalIgnored,
    Flaw::NoUndrain,
    Flaw::DrainNotNoted,
    Flaw::BootNotNoted,
    Flaw::FleetIgnored,
    Flaw::Leases,
    Flaw::NoNotice,
    Flaw::VersionNotNoted,
];

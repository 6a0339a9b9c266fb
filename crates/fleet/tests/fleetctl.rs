//! The built `fleetctl` against a cluster in memory, over the real HTTP server and client: what it prints, what it
//! asks for, and its exit codes.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod fleetctl {
    pub mod cluster;
    pub mod lab;

    mod content;
    mod lifecycle;
    mod machines;
    mod outage;
    mod remote;
    mod secure;
    mod tables;
    mod tunnel;
    mod usage;
    mod waiting;
}

//! What etcd counts about itself, at `/metrics`.

use etcd_lab::Member;

/// Some of etcd's numbers, or their growth.
pub struct Numbers {
    /// Revisions: writes, a transaction being one.
    pub revisions: f64,
    /// Events sent to those who follow.
    pub events: f64,
    /// Requests of clients that were answered.
    pub requests: f64,
    /// Bytes to and from clients.
    pub bytes: f64,
}

impl Numbers {
    /// Reads them.
    pub fn read(etcd: &Member) -> Self {
        let answer = etcd.client().get("/metrics").unwrap();
        let text = answer.body;
        let sum = |name: &str| -> f64 {
            let rows = text
                .lines()
                .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
            rows.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
        };
        Self {
            revisions: sum("etcd_debugging_mvcc_current_revision"),
            events: sum("etcd_debugging_mvcc_events_total"),
            requests: sum("grpc_server_handled_total"),
            bytes: sum("etcd_network_client_grpc_received_bytes_total")
                + sum("etcd_network_client_grpc_sent_bytes_total"),
        }
    }

    /// Returns the growth since `before`.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            revisions: self.revisions - before.revisions,
            events: self.events - before.events,
            requests: self.requests - before.requests,
            bytes: self.bytes - before.bytes,
        }
    }
}

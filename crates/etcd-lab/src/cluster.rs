//! Several members that form one cluster.

use crate::member::{Member, Programs};
use crate::wait::until;

/// A cluster; some of its members may be down.
#[derive(Debug)]
pub struct Cluster {
    /// All members, by the order in which they came.
    pub members: Vec<Member>,
}

impl Cluster {
    /// Starts members `m1`, `m2`, … from a fixed list and waits until all are healthy.
    #[track_caller]
    pub fn start(programs: &Programs, size: usize) -> Self {
        Self::start_with(programs, size, &[])
    }

    /// The same with more arguments for each member.
    #[track_caller]
    pub fn start_with(programs: &Programs, size: usize, args: &[&str]) -> Self {
        let members = (1..=size).map(|n| Member::new(programs, &format!("m{n}"))).collect();
        let mut cluster = Self { members };
        let list = cluster.initial_cluster();
        for member in &mut cluster.members {
            member.start(&[&["--initial-cluster", list.as_str()], args].concat());
        }
        for member in &mut cluster.members {
            member.wait_healthy();
        }
        cluster
    }

    /// Starts a member again after its end, and returns at once.
    pub fn start_again(&mut self, place: usize) {
        let list = self.initial_cluster();
        self.members[place].start(&["--initial-cluster", &list]);
    }

    /// The list of all members, as each of them takes it.
    pub fn initial_cluster(&self) -> String {
        self.members.iter().map(Member::row).collect::<Vec<_>>().join(",")
    }

    /// The place of the member that the one at `asked` holds for the leader; waits until it knows one.
    #[track_caller]
    pub fn leader(&self, asked: usize) -> usize {
        let client = self.members[asked].client();
        let name = until("there is a leader", || {
            let answer = client.get("/v2/members/leader").ok()?.json();
            answer["name"].as_str().map(str::to_owned)
        });
        self.members.iter().position(|member| member.name == name).unwrap()
    }

    /// A member that is not the leader.
    #[track_caller]
    pub fn follower(&self) -> usize {
        let leader = self.leader(0);
        (0..self.members.len()).find(|place| *place != leader).unwrap()
    }
}

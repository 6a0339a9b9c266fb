//! Whether etcd keeps its quorum while a machine reboots.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Number of a member of etcd; written in hexadecimal digits, as etcd's own tools do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

/// A text that is no number of a member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{found}` is no id of a member of etcd; use up to 16 hexadecimal digits, as `etcdctl member list` does"
)]
pub struct NotAMember {
    /// What was found.
    pub found: String,
}

/// What is known of a member of etcd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: MemberId,
    /// Whether it votes.
    pub role: Role,
    /// Whether it does its work.
    pub health: Health,
}

/// Whether a member votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It votes.
    Voter,
    /// It only learns: it counts for nothing here.
    Learner,
}

/// Whether a member does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It answers, and has a leader.
    Healthy,
    /// It does not answer, or knows no leader, or nobody could ask it.
    Down,
}

/// Too few members would be left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("reboot would lose quorum ({healthy} of {voters} healthy)")]
pub struct LosesQuorum {
    /// Voting members that answer and have a leader; members that are about to reboot are among them.
    pub healthy: usize,
    /// Voting members.
    pub voters: usize,
}

/// Says whether `own` may go away beside `away`, the members whose machines hold a slot (`own` may be among them).
///
/// A machine that is no voting member takes nothing from the quorum. Where one or two members vote, no reboot of one
/// keeps it: there all must be healthy and nobody else away, so that it is lost for the time of one reboot only.
pub fn check(
    members: &[Member],
    own: Option<MemberId>,
    away: &BTreeSet<MemberId>,
) -> Result<(), LosesQuorum> {
    let voters: Vec<&Member> = members.iter().filter(|member| member.role == Role::Voter).collect();
    let Some(own) = own.filter(|own| voters.iter().any(|member| member.id == *own)) else { return Ok(()) };
    let healthy = voters.iter().filter(|member| member.health == Health::Healthy);
    let n_healthy = healthy.clone().count();
    let left = healthy.filter(|member| member.id != own && !away.contains(&member.id)).count();
    let n = voters.len();
    let needed = if n < 3 { n - 1 } else { n / 2 + 1 };
    // A member that is down itself takes nothing away: the others do without it already.
    if left < needed { Err(LosesQuorum { healthy: n_healthy, voters: n }) } else { Ok(()) }
}

impl FromStr for MemberId {
    type Err = NotAMember;

    fn from_str(text: &str) -> Result<Self, NotAMember> {
        let is_hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_hex);
        number.map(Self).ok_or_else(|| NotAMember { found: text.to_owned() })
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Members with the numbers 1, 2, …: `+` is healthy, `-` is down, `l` learns.
    fn members(text: &str) -> Vec<Member> {
        let member = |(id, c): (u64, char)| Member {
            id: MemberId(id),
            role: if c == 'l' { Role::Learner } else { Role::Voter },
            health: if c == '-' { Health::Down } else { Health::Healthy },
        };
        (1..).zip(text.chars()).map(member).collect()
    }

    #[track_caller]
    fn check_text(text: &str, own: u64, away: &[u64], expected: &str) {
        let away = away.iter().copied().map(MemberId).collect();
        let found = check(&members(text), Some(MemberId(own)), &away);
        assert_eq!(found.map_or_else(|no| no.to_string(), |()| "yes".to_owned()), expected);
    }

    #[test]
    fn one_of_three_may_go_while_all_are_healthy() {
        check_text("+++", 1, &[], "yes");
        check_text("+++", 1, &[1], "yes");
        check_text("+++", 1, &[1, 2], "reboot would lose quorum (3 of 3 healthy)");
        check_text("++-", 1, &[], "reboot would lose quorum (2 of 3 healthy)");
    }

    #[test]
    fn a_holder_that_is_down_counts_once() {
        check_text("++++-", 1, &[5], "yes");
        check_text("++++-", 1, &[4, 5], "reboot would lose quorum (4 of 5 healthy)");
    }

    #[test]
    fn two_of_five_may_go() {
        check_text("+++++", 1, &[2], "yes");
        check_text("+++++", 1, &[2, 3], "reboot would lose quorum (5 of 5 healthy)");
    }

    #[test]
    fn learners_do_not_count() {
        check_text("++-lll", 1, &[], "reboot would lose quorum (2 of 3 healthy)");
        check_text("+++l", 4, &[1, 2], "yes");
    }

    #[test]
    fn machines_without_a_member_take_nothing() {
        assert_eq!(check(&members("++-"), None, &[MemberId(1)].into()), Ok(()));
        check_text("++-", 9, &[1], "yes");
        assert_eq!(check(&[], None, &BTreeSet::new()), Ok(()));
    }

    #[test]
    fn where_no_reboot_keeps_the_quorum_one_at_a_time_goes() {
        check_text("+", 1, &[], "yes");
        check_text("++", 1, &[], "yes");
        check_text("++", 1, &[2], "reboot would lose quorum (2 of 2 healthy)");
        check_text("+-", 1, &[], "reboot would lose quorum (1 of 2 healthy)");
    }

    #[test]
    fn member_ids_are_hexadecimal() {
        assert_eq!("8e9e05c52164694d".parse(), Ok(MemberId(0x8e9e_05c5_2164_694d)));
        assert_eq!(MemberId(0xab).to_string(), "ab");
        for text in ["", "g", "+1", "11111111111111111"] {
            assert_eq!(text.parse::<MemberId>(), Err(NotAMember { found: text.to_owned() }));
        }
    }
}

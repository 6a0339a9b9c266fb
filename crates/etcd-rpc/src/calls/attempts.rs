//! Which of several endpoints' failures is told.

use crate::error::Error;

/// The failures of one round over the endpoints.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    errors: Vec<Error>,
}

impl Attempts {
    pub(crate) fn failed(&mut self, error: Error) {
        self.errors.push(error);
    }

    /// The one that says most: who answered knows more than who was not reached.
    pub(crate) fn into_error(self) -> Error {
        let rank = |error: &Error| match error {
            Error::Certificate { .. } => 4,
            Error::NoLeader { .. } => 3,
            Error::NotReady { .. } => 2,
            Error::Timeout { .. } | Error::Interrupted { .. } => 1,
            _ => 0,
        };
        let all_unreachable = self.errors.iter().all(|error| rank(error) == 0);
        if all_unreachable {
            let reasons = self.errors.iter().map(|error| match error {
                Error::Unreachable { tried } => tried.clone(),
                other => other.to_string(),
            });
            return Error::Unreachable { tried: reasons.collect::<Vec<_>>().join("; ") };
        }
        let most = self.errors.into_iter().max_by_key(rank);
        most.expect("there is an endpoint, and each attempt at one failed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable(endpoint: &str) -> Error {
        Error::Unreachable { tried: format!("{endpoint}: refused") }
    }

    #[test]
    fn names_every_endpoint_that_was_not_reached() {
        let mut attempts = Attempts::default();
        attempts.failed(unreachable("a"));
        attempts.failed(unreachable("b"));
        assert_eq!(attempts.into_error(), Error::Unreachable { tried: "a: refused; b: refused".into() });
    }

    #[test]
    fn a_member_without_a_leader_says_more_than_one_that_is_down() {
        let mut attempts = Attempts::default();
        attempts.failed(unreachable("a"));
        attempts.failed(Error::NoLeader { endpoint: "b".into() });
        attempts.failed(unreachable("c"));
        assert_eq!(attempts.into_error(), Error::NoLeader { endpoint: "b".into() });
    }
}

//! Which of several endpoints' failures is told.

use crate::error::Error;

/// The failures of one round over the endpoints.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    errors: Vec<(usize, Error)>,
}

impl Attempts {
    /// Notes what the endpoint at this place among all came to.
    pub(crate) fn failed(&mut self, place: usize, error: Error) {
        self.errors.push((place, error));
    }

    /// The one that says most: who answered knows more than who was not reached.
    /// In the order of the settings, so that rounds which begin with another endpoint read alike.
    pub(crate) fn into_error(mut self) -> Error {
        self.errors.sort_by_key(|(place, _)| *place);
        let rank = |error: &Error| match error {
            Error::Certificate { .. } => 4,
            Error::NoLeader { .. } => 3,
            Error::NotReady { .. } => 2,
            Error::Timeout { .. } | Error::Interrupted { .. } => 1,
            _ => 0,
        };
        let all_unreachable = self.errors.iter().all(|(_, error)| rank(error) == 0);
        if all_unreachable {
            let reasons = self.errors.iter().map(|(_, error)| match error {
                Error::Unreachable { tried } => tried.clone(),
                other => other.to_string(),
            });
            return Error::Unreachable { tried: reasons.collect::<Vec<_>>().join("; ") };
        }
        let most = self.errors.into_iter().map(|(_, error)| error).max_by_key(rank);
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
        attempts.failed(1, unreachable("b"));
        attempts.failed(0, unreachable("a"));
        assert_eq!(attempts.into_error(), Error::Unreachable { tried: "a: refused; b: refused".into() });
    }

    #[test]
    fn a_member_without_a_leader_says_more_than_one_that_is_down() {
        let mut attempts = Attempts::default();
        attempts.failed(0, unreachable("a"));
        attempts.failed(1, Error::NoLeader { endpoint: "b".into() });
        attempts.failed(2, unreachable("c"));
        assert_eq!(attempts.into_error(), Error::NoLeader { endpoint: "b".into() });
    }
}

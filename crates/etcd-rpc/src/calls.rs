//! One request, asked of one endpoint after the other until it is answered or its time is over.

mod attempts;
mod verdict;

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::config::Config;
use crate::endpoints::Turns;
use crate::error::{Error, classify, is_stale_token};
use crate::login::{Login, is_refused};

use attempts::Attempts;
use verdict::{Verdict, judge};

pub(crate) use verdict::Effect;

/// The largest answer that is read. etcd sets no limit of its own.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long a cluster that elects is left alone.
const ELECTION_PAUSE: Duration = Duration::from_millis(100);
/// With less time left than this nobody is asked again after an election: there would be no answer, and of a write not
/// even the news that nothing was done.
const ROUND_LEAST: Duration = Duration::from_millis(250);

/// Connections to all endpoints, and what is known of them.
#[derive(Debug)]
pub(crate) struct Calls {
    endpoints: Vec<Connected>,
    turns: Mutex<Turns>,
    login: Login,
    timeout: Duration,
}

/// An endpoint with its connection, which is made when it is first used and again when it broke.
#[derive(Debug)]
struct Connected {
    url: String,
    channel: Channel,
}

/// An answer, and the place of the endpoint that gave it.
#[derive(Debug)]
pub(crate) struct Answered<A> {
    pub(crate) answer: A,
    pub(crate) place: usize,
}

impl Calls {
    pub(crate) fn new(config: Config) -> Result<Self, Error> {
        let connections = config.connections()?;
        let endpoints = config.endpoints.iter().zip(connections);
        let endpoints: Vec<_> = endpoints
            .map(|(url, connection)| Connected { url: url.clone(), channel: connection.channel() })
            .collect();
        let turns = Mutex::new(Turns::new(endpoints.len()));
        Ok(Self { endpoints, turns, login: Login::new(config.user), timeout: config.timeout })
    }

    /// The time that a request has.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The URL of an endpoint.
    pub(crate) fn url(&self, place: usize) -> &str {
        &self.endpoints[place].url
    }

    /// How many endpoints there are.
    pub(crate) fn count(&self) -> usize {
        self.endpoints.len()
    }

    /// Sends `message` to the endpoints in turn. `effect` says what may be repeated: a write that may have been done
    /// is never sent twice.
    pub(crate) async fn call<Q, A, Sent>(
        &self,
        effect: Effect,
        message: Q,
        send: impl Fn(Channel, Request<Q>) -> Sent,
    ) -> Result<Answered<A>, Error>
    where
        Q: Clone,
        Sent: Future<Output = Result<Response<A>, Status>>,
    {
        let end = Instant::now() + self.timeout;
        let mut electing = None;
        loop {
            let mut attempts = Attempts::default();
            for place in self.order() {
                let error = match self.attempt(place, effect, end, &message, &send).await {
                    Ok(answer) => {
                        self.note_worked(place);
                        return Ok(Answered { answer, place });
                    }
                    Err(error) => error,
                };
                if error.is_away() {
                    self.note_failed(place);
                }
                match judge(effect, &error) {
                    Verdict::Final => return Err(error),
                    Verdict::Elsewhere => attempts.failed(place, error),
                }
                if Instant::now() >= end {
                    break;
                }
            }
            let error = attempts.into_error();
            // A cluster elects within a second or two, and whoever asked wants an answer, not that news.
            match error {
                Error::NoLeader { .. } if Instant::now() + ELECTION_PAUSE + ROUND_LEAST < end => {
                    electing = Some(error);
                }
                // The election took the time that the answer would have needed.
                Error::Timeout { .. } => return Err(electing.unwrap_or(error)),
                error => return Err(error),
            }
            sleep(ELECTION_PAUSE).await;
        }
    }

    /// Asks one endpoint only, whatever is known of it.
    pub(crate) async fn call_at<Q, A, Sent>(
        &self,
        place: usize,
        message: Q,
        send: impl Fn(Channel, Request<Q>) -> Sent,
    ) -> Result<A, Error>
    where
        Q: Clone,
        Sent: Future<Output = Result<Response<A>, Status>>,
    {
        let end = Instant::now() + self.timeout;
        self.attempt(place, Effect::OfMember, end, &message, &send).await
    }

    /// An endpoint that answered before broke off.
    pub(crate) fn note_failed(&self, place: usize) {
        self.turns().failed(place, Instant::now());
    }

    fn note_worked(&self, place: usize) {
        self.turns().worked(place);
    }

    fn order(&self) -> Vec<usize> {
        self.turns().order(Instant::now())
    }

    fn turns(&self) -> std::sync::MutexGuard<'_, Turns> {
        self.turns.lock().expect("nothing panics while it holds the turns")
    }

    /// One attempt, and one more with a new pass if the first one's was stale: with that nothing was done.
    async fn attempt<Q, A, Sent>(
        &self,
        place: usize,
        effect: Effect,
        end: Instant,
        message: &Q,
        send: &impl Fn(Channel, Request<Q>) -> Sent,
    ) -> Result<A, Error>
    where
        Q: Clone,
        Sent: Future<Output = Result<Response<A>, Status>>,
    {
        let Connected { url, channel } = &self.endpoints[place];
        let mut may_renew = self.login.name().is_some();
        loop {
            let begin = Instant::now();
            let end = effect.attempt_end(begin, end, self.endpoints.len());
            let within = end.saturating_duration_since(begin);
            let pass = timeout_at(end, self.login.pass(channel)).await;
            // Nothing was sent yet but a login.
            let pass = pass
                .map_err(|_| Error::Unreachable { tried: format!("{url}: no answer to the login") })?
                .map_err(|status| self.login_failed(url, within, &status))?;
            let request = effect.request(message.clone(), &pass, within);
            let answer = timeout_at(end, send(channel.clone(), request)).await;
            let answer = answer.map_err(|_| Error::Timeout { endpoint: url.clone(), within })?;
            let status = match answer {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => status,
            };
            if !may_renew || !is_stale_token(&status) {
                return Err(classify(url, within, &status));
            }
            self.login.forget(&pass).await;
            may_renew = false;
        }
    }

    fn login_failed(&self, url: &str, within: Duration, status: &Status) -> Error {
        match self.login.name() {
            Some(user) if is_refused(status) => Error::Login { user: user.to_owned() },
            _ => match classify(url, within, status) {
                // What was interrupted was the login; the request itself was not sent.
                Error::Interrupted { endpoint, reason } => {
                    Error::Unreachable { tried: format!("{endpoint}: {reason}") }
                }
                Error::Timeout { endpoint, .. } => {
                    Error::Unreachable { tried: format!("{endpoint}: no answer to the login") }
                }
                error => error,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The time that requests have here.
    const TIMEOUT: Duration = Duration::from_secs(2);

    /// Asks an endpoint that says for so long that it knows no leader, and nothing after that.
    async fn ask(effect: Effect, electing: Duration) -> Error {
        let calls = Calls::new(Config::new(["http://127.0.0.1:1"], TIMEOUT)).unwrap();
        let begin = Instant::now();
        let send = async |_: Channel, _: Request<()>| {
            if begin.elapsed() > electing {
                std::future::pending::<()>().await;
            }
            Err::<Response<()>, _>(Status::unavailable("etcdserver: no leader"))
        };
        calls.call(effect, (), send).await.unwrap_err()
    }

    #[tokio::test]
    async fn an_election_that_takes_a_reads_time_is_what_is_told() {
        let error = ask(Effect::Repeatable, TIMEOUT / 2).await;
        assert!(matches!(error, Error::NoLeader { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_write_is_not_begun_without_time_for_its_answer() {
        let error = ask(Effect::Once, TIMEOUT - ROUND_LEAST / 2).await;
        assert!(matches!(error, Error::NoLeader { .. }), "{error:?}");
        let error = ask(Effect::Once, TIMEOUT / 4).await;
        assert!(error.is_outcome_unknown(), "{error:?}");
    }
}

//! Keeps a part of the program running: one that ends is started anew, after a pause that grows.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use super::board::Board;
use super::stop::Stop;
use crate::journal::{Journal, Level};

/// The first pause.
const FIRST: Duration = Duration::from_secs(1);
/// The longest one; a part that ran for longer than this begins with the first again.
const LONGEST: Duration = Duration::from_secs(60);

/// What a supervisor has.
#[derive(Debug, Clone)]
pub struct Supervisor {
    /// Where conditions are noted.
    pub board: Board,
    /// Where it is said.
    pub journal: Journal,
    /// Until when.
    pub stop: Stop,
}

impl Supervisor {
    /// Runs a part until it is told to stop. A part that returns before that, for whatever reason, is made and run
    /// again. Each has a task of its own, so that a panic ends no other.
    ///
    /// The part is on the board when this returns, before the future is first polled: whoever is told that the daemon
    /// is ready finds all its parts there.
    pub fn keep<F, Run, E>(self, part: &'static str, make: F) -> impl Future<Output = ()>
    where
        F: FnMut(Stop) -> Run,
        Run: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        self.begins(part);
        self.again_and_again(part, make)
    }

    fn begins(&self, part: &'static str) {
        self.board.note(part, |condition| {
            condition.runs = true;
            condition.trouble = None;
        });
    }

    async fn again_and_again<F, Run, E>(self, part: &'static str, mut make: F)
    where
        F: FnMut(Stop) -> Run,
        Run: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let mut pause = FIRST;
        loop {
            let begun = Instant::now();
            self.begins(part);
            let ended = tokio::spawn(make(self.stop.clone())).await;
            self.board.note(part, |condition| condition.runs = false);
            if self.stop.is_told() {
                return;
            }
            let why = match ended {
                Ok(Ok(())) => "it ended by itself".to_owned(),
                Ok(Err(err)) => err.to_string(),
                Err(err) => err.to_string(),
            };
            if begun.elapsed() > LONGEST {
                pause = FIRST;
            }
            self.journal
                .say(Level::Error, &format!("{part}: {why}; starting it again in {} s", pause.as_secs()));
            self.board.note(part, |condition| {
                condition.restarts = condition.restarts.saturating_add(1);
                condition.trouble = Some(why);
            });
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.clone().told() => return,
            }
            pause = (pause * 2).min(LONGEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::stop;
    use super::*;

    fn supervisor() -> (stop::Stopper, Supervisor) {
        let (stopper, stop) = stop::pair();
        (stopper, Supervisor { board: Board::default(), journal: Journal::new(0), stop })
    }

    /// Runs a part that ends in some way each time, for a span of a clock that stands still; returns how often it began.
    async fn begun(span: Duration, end: fn() -> Result<(), String>) -> (u32, Board) {
        let (stopper, supervisor) = supervisor();
        let board = supervisor.board.clone();
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let kept = tokio::spawn(supervisor.keep("part", move |_stop| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move { end() }
        }));
        tokio::time::sleep(span).await;
        stopper.stop();
        kept.await.unwrap();
        (count.load(Ordering::Relaxed), board)
    }

    #[test]
    fn a_part_is_on_the_board_before_it_is_polled() {
        let (_stopper, supervisor) = supervisor();
        let board = supervisor.board.clone();
        let _kept = supervisor.keep("part", |_stop| async { Ok::<(), String>(()) });
        assert!(board.conditions()["part"].runs);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow() {
        // At 0, 1, 3, 7, 15, 31, 63, 123 seconds.
        let (count, board) = begun(Duration::from_secs(125), || Err("no".to_owned())).await;
        assert_eq!(count, 8);
        let condition = board.conditions()["part"].clone();
        assert_eq!(
            (condition.restarts, condition.trouble.as_deref(), condition.runs),
            (8, Some("no"), false)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_ends_by_itself_or_panics_is_started_again() {
        assert_eq!(begun(Duration::from_secs(2), || Ok(())).await.0, 2);
        let (count, board) = begun(Duration::from_secs(2), || panic!("wrong")).await;
        assert_eq!(count, 2);
        assert!(board.line().contains("panicked"), "{}", board.line());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_long_run_the_first_pause_is_taken_again() {
        let (stopper, supervisor) = supervisor();
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let kept = tokio::spawn(supervisor.keep("part", move |_stop| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::time::sleep(Duration::from_secs(100)).await;
                Err::<(), _>("no")
            }
        }));
        tokio::time::sleep(Duration::from_secs(304)).await;
        stopper.stop();
        // What runs is not waited for by the test: the part does not listen.
        kept.abort();
        assert_eq!(count.load(Ordering::Relaxed), 4, "each pause is a second");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_told_to_stop_is_not_started_again() {
        let (stopper, supervisor) = supervisor();
        let board = supervisor.board.clone();
        let kept = tokio::spawn(supervisor.keep("part", |stop| async move {
            stop.told().await;
            Err::<(), _>("stopped")
        }));
        tokio::time::sleep(Duration::from_secs(1)).await;
        stopper.stop();
        kept.await.unwrap();
        assert_eq!(board.conditions()["part"].restarts, 0);
    }
}

//! The API: first it says what it waits for, then it serves the registry. The listeners are the same, so that nobody
//! is turned away in between.

use std::sync::Arc;

use super::beginning;
use super::board::Board;
use super::stop::Stop;
use super::waiting::Waiting;
use crate::http::{Limits, Listener, Metrics, Server};
use crate::journal::{Journal, Level};
use crate::registry::Service;

/// What the part is made of.
#[derive(Debug, Clone)]
pub struct Serving {
    /// Where.
    pub listeners: Vec<Listener>,
    /// The registry.
    pub service: Service,
    /// What is counted.
    pub metrics: Metrics,
    /// How the part is.
    pub board: Board,
    /// Where it is said.
    pub journal: Journal,
}

impl Serving {
    /// Serves until it is told to stop.
    pub async fn run(self, stop: Stop) {
        self.wait(stop.clone()).await;
        if !stop.is_told() {
            let server = Server::new(Arc::new(self.service), self.metrics, self.journal, Limits::default());
            server.serve(&self.listeners, stop.told()).await;
        }
    }

    /// Answers that nothing can be asked yet, until the registry has its marker.
    async fn wait(&self, stop: Stop) {
        let waiting = Waiting::default();
        let begun = beginning::write(&self.service, |why| {
            // Once while it lasts.
            if waiting.because(why.clone()) {
                self.journal.say(Level::Warning, &format!("the API waits for the registry: {why}"));
            }
            self.board.note("api", |condition| condition.trouble = Some(why));
        });
        let end = async {
            tokio::select! {
                () = begun => self.board.note("api", |condition| condition.trouble = None),
                () = stop.told() => {}
            }
        };
        let (api, metrics) = (Arc::new(waiting.clone()), self.metrics.clone());
        let server = Server::new(api, metrics, self.journal, Limits::default());
        server.serve(&self.listeners, end).await;
    }
}

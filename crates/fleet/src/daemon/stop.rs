//! Tells the parts of the program to end.

use tokio::sync::watch;

/// Whoever has it can tell all that have its [`Stop`]; so does dropping it.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Waits to be told.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// Makes a pair.
pub fn pair() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Tells all.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Returns whether it was told.
    pub fn is_told(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until it is told.
    pub async fn told(mut self) {
        // An error says that nobody is left who could tell: that is told too.
        let _ = self.0.wait_for(|told| *told).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_that_wait_are_told_and_those_that_come_later() {
        let (stopper, stop) = pair();
        assert!(!stop.is_told());
        let waits = tokio::spawn(stop.clone().told());
        stopper.stop();
        waits.await.unwrap();
        stop.clone().told().await;
        assert!(stop.is_told());
    }

    #[tokio::test]
    async fn nobody_left_to_tell_is_told() {
        let (stopper, stop) = pair();
        drop(stopper);
        assert!(stop.is_told());
        stop.told().await;
    }
}

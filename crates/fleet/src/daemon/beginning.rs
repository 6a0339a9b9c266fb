//! The registry's beginning: its marker, without which no agent takes an empty registry for the wish that nothing runs.

use std::time::Duration;

use crate::registry::Service;

/// The first pause before it is tried again.
const FIRST: Duration = Duration::from_millis(500);
/// The longest one.
const LONGEST: Duration = Duration::from_secs(10);

/// Writes the marker, unless it is there, until that has worked; `trouble` is told each time that it has not.
pub async fn write(service: &Service, trouble: impl Fn(String)) {
    let mut pause = FIRST;
    // An outcome that is not known is an error, after which it is tried again: it is created once at most.
    while let Err(err) = service.mark().await {
        trouble(err.message);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}

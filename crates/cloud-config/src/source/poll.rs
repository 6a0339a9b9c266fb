//! Several sources at once: the first that answers wins.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use super::{Asker, Found, Given, Reach};

/// Pause after the first question; it doubles with each.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Asks sources until one answers, all have said that they never will, or the time is over. An error is what they
/// said. Local ones are asked first, so that none of them waits for another.
pub fn first(found: &[Found], root: &Path, end: Instant) -> Result<(Found, Given), Vec<String>> {
    let local = found.iter().filter(|found| found.source.reach == Reach::Local);
    for one in local {
        if let Ok(given) = once(one, root, end) {
            return Ok((one.clone(), given));
        }
    }
    let (sender, receiver) = channel();
    for one in found.iter().cloned() {
        let (sender, root) = (sender.clone(), root.to_owned());
        thread::spawn(move || {
            let answer = keep_asking(&one, &root, end);
            // Nobody listens any more once another one has won.
            let _ = sender.send((one, answer));
        });
    }
    drop(sender);
    let mut said = Vec::new();
    while let Ok((one, answer)) = receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
        match answer {
            Ok(given) => return Ok((one, given)),
            Err(err) => said.push(format!("{}: {err:#}", one.source.name)),
        }
    }
    Err(said)
}

/// Asks a source once.
pub fn once(found: &Found, root: &Path, end: Instant) -> anyhow::Result<Given> {
    (found.source.read)(&Asker::new(root, end), &found.at)
}

fn keep_asking(found: &Found, root: &Path, end: Instant) -> anyhow::Result<Given> {
    let mut pause = PAUSE;
    loop {
        match once(found, root, end) {
            Err(err) if may_come(&err) && pause < end.saturating_duration_since(Instant::now()) => {
                sleep(pause);
                pause = (2 * pause).min(PAUSE_MAX);
            }
            answer => return answer,
        }
    }
}

/// Tells whether a source that failed may answer later: a server may, and a folder may be mounted.
fn may_come(err: &anyhow::Error) -> bool {
    err.chain().any(|cause| {
        cause.downcast_ref::<http_get::Error>().is_some_and(http_get::Error::is_transient)
            || cause.downcast_ref::<std::io::Error>().is_some_and(|err| err.kind() == ErrorKind::NotFound)
    })
}

#[cfg(test)]
mod tests {
    use http_get::testing::{Answer, Server, dead_url};

    use super::*;
    use crate::source::{cmdline, config_drive};

    fn url(at: String) -> Found {
        Found { source: &cmdline::URL, at }
    }

    #[test]
    fn the_first_that_answers_wins() {
        let dir = tempfile::tempdir().unwrap();
        let slow = Server::start(|_, _| {
            sleep(Duration::from_secs(3));
            Answer::ok("slow")
        });
        let fast = Server::start(|_, _| Answer::ok("fast"));
        let found = [url(dead_url()), url(slow.url("/")), url(fast.url("/"))];
        let begin = Instant::now();
        let (winner, given) = first(&found, dir.path(), begin + Duration::from_secs(20)).unwrap();
        assert_eq!((winner.at, given.user_data.as_slice()), (fast.url("/"), &b"fast"[..]));
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    }

    #[test]
    fn sources_that_never_come_are_not_waited_for_and_a_folder_is() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(|_, _| Answer::status(404));
        let begin = Instant::now();
        let said = first(&[url(server.url("/a"))], dir.path(), begin + Duration::from_secs(20)).unwrap_err();
        assert!(said[0].starts_with("url: there is no http://127.0.0.1:"), "{said:?}");
        assert!(begin.elapsed() < Duration::from_secs(5));
        let folder = dir.path().join("later");
        let found = [Found { source: &config_drive::FOLDER, at: folder.display().to_string() }];
        thread::spawn(move || {
            sleep(Duration::from_millis(300));
            std::fs::create_dir(folder).unwrap();
        });
        first(&found, dir.path(), Instant::now() + Duration::from_secs(20)).unwrap();
    }
}

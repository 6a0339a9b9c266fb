//! Health check: Docker answers, unless the administrator masked it or nothing wants it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::Look;
use super::last_good::LastGood;
use super::units_wanted::is_wanted;

const UNIT: &str = "docker.service";
const SOCKET: &str = "/run/docker.sock";
const TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_MAX: u64 = 64 * 1024;

/// Checks that Docker answers `GET /_ping`.
pub fn check(look: &Look<'_>, _seen: &mut LastGood) -> anyhow::Result<()> {
    if is_wanted(UNIT)? { ping(&look.host.path(SOCKET), look.budget.look(TIMEOUT)) } else { Ok(()) }
}

fn ping(socket: &Path, timeout: Duration) -> anyhow::Result<()> {
    let answer = ask(socket, timeout).with_context(|| format!("asking {}", socket.display()))?;
    let status = answer.lines().next().unwrap_or_default();
    anyhow::ensure!(status.contains(" 200 "), "asking {}: it answered `{status}`", socket.display());
    Ok(())
}

fn ask(socket: &Path, timeout: Duration) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn answering(answer: &'static str) -> anyhow::Result<()> {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut request = [0; 64];
            assert_ne!(stream.read(&mut request).unwrap(), 0);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let res = ping(&socket, TIMEOUT);
        server.join().unwrap();
        res
    }

    #[test]
    fn an_answer_of_200_is_well() {
        answering("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nOK").unwrap();
    }

    #[test]
    fn another_answer_is_shown() {
        let err = answering("HTTP/1.0 500 Internal Server Error\r\n\r\n").unwrap_err();
        assert!(err.to_string().ends_with("it answered `HTTP/1.0 500 Internal Server Error`"), "{err}");
        assert!(answering("").is_err());
    }

    #[test]
    fn a_missing_socket_is_named() {
        let err = ping(Path::new("/no/docker.sock"), TIMEOUT).unwrap_err();
        assert!(format!("{err:#}").starts_with("asking /no/docker.sock: "));
    }
}

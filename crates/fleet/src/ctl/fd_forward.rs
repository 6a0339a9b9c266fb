//! `fd-forward`: standard input and output become a connection with a unix socket. `--tunnel` runs it on the other
//! side of SSH, which gives whoever may log in there what they could do there anyway.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;

use super::failure::Failure;

/// Copies both ways until the socket's side is closed.
///
/// # Errors
/// When the socket cannot be connected, or breaks.
pub fn run(socket: &Path) -> Result<(), Failure> {
    let failed = |source| Failure::Forward { socket: socket.display().to_string(), source };
    let stream = UnixStream::connect(socket).map_err(failed)?;
    forward(stream, io::stdin(), io::stdout()).map_err(failed)
}

fn forward(
    stream: UnixStream,
    mut input: impl Read + Send + 'static,
    mut output: impl Write,
) -> io::Result<()> {
    let mut answers = stream.try_clone()?;
    let mut requests = stream;
    // Not waited for: it hangs in a read of standard input when the socket is closed first.
    thread::spawn(move || {
        // An end of the input, of whatever kind, is told to the socket; its answers may still be on their way.
        let _ = copy(&mut input, &mut requests);
        let _ = requests.shutdown(Shutdown::Write);
    });
    copy(&mut answers, &mut output)
}

/// Copies what there is at once, because the other side waits for each part.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = [0; 16 << 10];
    loop {
        let read = match from.read(&mut buffer) {
            Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { return Ok(()) };
        to.write_all(part)?;
        to.flush()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_input_is_told_and_the_answer_still_comes() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let server = thread::spawn(move || {
            let mut request = String::new();
            far.read_to_string(&mut request).unwrap();
            far.write_all(format!("answer to {request}").as_bytes()).unwrap();
        });
        let mut output = Vec::new();
        forward(near, io::Cursor::new(b"request".to_vec()), &mut output).unwrap();
        server.join().unwrap();
        assert_eq!(output, b"answer to request");
    }

    #[test]
    fn a_socket_that_is_closed_ends_it_while_the_input_goes_on() {
        let (near, far) = UnixStream::pair().unwrap();
        let (_open, input) = UnixStream::pair().unwrap();
        drop(far);
        let mut output = Vec::new();
        forward(near, input, &mut output).unwrap();
        assert!(output.is_empty());
    }

    #[test]
    fn a_socket_that_is_not_there_is_named() {
        let err = run(Path::new("/nonexistent/fleet.sock")).unwrap_err().to_string();
        assert!(err.starts_with("error: forwarding /nonexistent/fleet.sock: "), "{err}");
    }
}

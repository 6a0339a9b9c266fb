//! `--tunnel`: connections to fleetd whose two directions are output and input of an `ssh`.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use tokio::process::{Child, ChildStdin, Command};

use crate::http::client::{Dial, Ends};

/// Makes connections by `ssh` with these arguments; errors call the other side `name`.
pub fn dial(name: String, args: Vec<String>) -> Dial {
    Dial::new(name, move || {
        let ends = open(&args);
        async { ends }
    })
}

fn open(args: &[String]) -> io::Result<Ends> {
    let mut child = Command::new("ssh")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Its questions and errors are the user's to read: an unknown host, a refused key.
        .stderr(Stdio::inherit())
        // A connection that nobody needs any more may hang in a network that is away.
        .kill_on_drop(true)
        .spawn()
        .map_err(|err| io::Error::new(err.kind(), format!("running ssh: {err}")))?;
    match (child.stdin.take(), child.stdout.take()) {
        (Some(input), Some(output)) => {
            Ok(Ends { read: Box::new(output), write: Box::new(Input { input, _child: child }) })
        }
        _ => Err(io::Error::other("ssh was started without pipes")),
    }
}

/// What the `ssh` reads, with the `ssh`, which ends when this is dropped.
#[derive(Debug)]
struct Input {
    input: ChildStdin,
    _child: Child,
}

impl AsyncWrite for Input {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(cx)
    }
}

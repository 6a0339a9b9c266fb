//! A web server of a test, on loopback: it answers what the test says.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::io::{BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Further headers, each with its line end.
    pub headers: String,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Gives a document.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: String::new(), body: body.into() }
    }

    /// Gives none.
    pub fn status(status: u16) -> Self {
        Self { status, headers: String::new(), body: Vec::new() }
    }
}

/// A question as it came.
#[derive(Debug, Clone)]
pub struct Question {
    /// Method and path, as in `GET /a`.
    pub line: String,
    /// Headers, in lower case, one a line.
    pub headers: String,
}

/// A server that answers until the process ends.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Question>>>,
}

impl Server {
    /// Starts a server; `answer` gets each question and the number of those before it.
    pub fn start(answer: impl Fn(&Question, usize) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that goes away is no trouble of the server's.
                let Some((stream, question)) = stream.ok().and_then(read) else { continue };
                let before = {
                    let mut log = log.lock().unwrap();
                    log.push(question.clone());
                    log.len() - 1
                };
                write(stream, &answer(&question, before));
            }
        });
        Self { address, asked }
    }

    /// Returns the URL of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns its port on the loopback.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns what was asked so far.
    pub fn asked(&self) -> Vec<Question> {
        self.asked.lock().unwrap().clone()
    }
}

/// Returns a URL on loopback where nobody listens.
pub fn dead_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn read(stream: TcpStream) -> Option<(TcpStream, Question)> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let line = first.rsplit_once(" HTTP/")?.0.to_owned();
    let mut headers = String::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            return Some((reader.into_inner(), Question { line, headers }));
        }
        headers.push_str(&header.to_lowercase().replace('\r', ""));
    }
}

fn write(mut stream: TcpStream, answer: &Answer) {
    let Answer { status, headers, body } = answer;
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
        body.len()
    );
    // A client may have heard enough.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

//! A small web server that can be told to misbehave.

#![allow(dead_code, reason = "each test file uses a part of this")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::Duration;

/// How the server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As it should.
    Good,
    /// The whole file, whatever range was asked for; with or without its length.
    NoRanges { says_length: bool },
    /// Cuts each connection after so many bytes of bodies, for so many connections.
    Cuts { after: usize, times: usize },
    /// Sends so many bytes of bodies in all, and dies.
    Dies { left: usize },
    /// Sends so many bytes and then nothing.
    Stalls { after: usize },
    /// Sends a byte at a time.
    Drips,
    /// Answers everything with a page.
    Html,
    /// Says another place in `Content-Range` than was asked for.
    WrongPlace,
    /// Says another length of the file.
    WrongTotal,
    /// Sends more bytes than it says it does.
    TooLong,
    /// Sends the browser elsewhere, for ever.
    RedirectLoop,
    /// Sends the browser to the same path below `/moved`.
    RedirectOnce,
    /// Answers with a status.
    Status(u16),
}

#[derive(Debug)]
struct Shared {
    files: BTreeMap<String, Vec<u8>>,
    manner: Manner,
    /// Manner of the channel file, which would otherwise be the first to fail.
    channel_manner: Manner,
    requests: Vec<String>,
    body_bytes: usize,
}

#[derive(Clone, Debug)]
pub struct Server {
    pub url: String,
    shared: Arc<Mutex<Shared>>,
}

impl Server {
    /// Starts a server without files.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Shared {
            files: BTreeMap::new(),
            manner: Manner::Good,
            channel_manner: Manner::Good,
            requests: Vec::new(),
            body_bytes: 0,
        }));
        let server = Self { url, shared };
        let accepted = server.clone();
        spawn(move || {
            for stream in listener.incoming() {
                let server = accepted.clone();
                // A connection that the client has left is no failure of the test.
                spawn(move || server.serve(stream.unwrap()).ok());
            }
        });
        server
    }

    pub fn put(&self, path: &str, bytes: Vec<u8>) {
        self.shared.lock().unwrap().files.insert(path.to_owned(), bytes);
    }

    pub fn manner(&self, manner: Manner) {
        self.shared.lock().unwrap().manner = manner;
    }

    pub fn channel_manner(&self, manner: Manner) {
        self.shared.lock().unwrap().channel_manner = manner;
    }

    /// Returns the requests and the number of body bytes since the last call.
    pub fn take_log(&self) -> (Vec<String>, usize) {
        let mut shared = self.shared.lock().unwrap();
        let requests = std::mem::take(&mut shared.requests);
        (requests, std::mem::take(&mut shared.body_bytes))
    }

    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        loop {
            let (mut path, mut range, mut line) = (String::new(), None, String::new());
            loop {
                line.clear();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                let text = line.trim_end();
                if let Some(rest) = text.strip_prefix("GET ") {
                    path = rest.split(' ').next().unwrap().to_owned();
                } else if let Some(value) = text.to_ascii_lowercase().strip_prefix("range: bytes=") {
                    let (from, to) = value.split_once('-').unwrap();
                    range = Some((from.parse::<usize>().unwrap(), to.parse::<usize>().unwrap()));
                } else if text.is_empty() {
                    break;
                }
            }
            if !self.answer(stream.try_clone()?, &path, range)? {
                return stream.shutdown(std::net::Shutdown::Both);
            }
        }
    }

    /// Answers one request. Returns whether the connection goes on.
    fn answer(&self, mut out: TcpStream, path: &str, range: Option<(usize, usize)>) -> std::io::Result<bool> {
        let (manner, file) = {
            let mut shared = self.shared.lock().unwrap();
            shared.requests.push(format!("{path} {range:?}"));
            let is_channel = path.ends_with(".channel");
            let manner = if is_channel { &mut shared.channel_manner } else { &mut shared.manner };
            let now = manner.clone();
            if let Manner::Cuts { times, .. } = manner {
                *times = times.saturating_sub(1);
            }
            let plain = path.strip_prefix("/moved").unwrap_or(path);
            (now, shared.files.get(plain).cloned())
        };
        let simple = |out: &mut TcpStream, head: &str, body: &str| {
            write!(out, "HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        };
        match manner {
            Manner::Html => {
                return simple(&mut out, "200 OK\r\nContent-Type: text/html", &"<html>no</html>".repeat(400))
                    .map(|()| true);
            }
            Manner::Status(status) => return simple(&mut out, &format!("{status} X"), "").map(|()| true),
            Manner::RedirectLoop => {
                return simple(&mut out, &format!("302 Found\r\nLocation: {path}"), "").map(|()| true);
            }
            Manner::RedirectOnce if !path.starts_with("/moved") => {
                return simple(&mut out, &format!("307 X\r\nLocation: /moved{path}"), "").map(|()| true);
            }
            _ => {}
        }
        let Some(file) = file else { return simple(&mut out, "404 Not Found", "").map(|()| true) };
        let total = file.len();
        let ranged = range.filter(|_| !matches!(manner, Manner::NoRanges { .. }));
        if ranged.is_some_and(|(from, _)| total <= from) {
            return simple(&mut out, "416 X", "").map(|()| true);
        }
        let (from, to) = ranged.map_or((0, total), |(from, to)| (from, total.min(to + 1)));
        let mut body = file[from..to].to_vec();
        let mut head = if ranged.is_some() {
            let (shown_from, shown_total) = match manner {
                Manner::WrongPlace => (from + 1, total),
                Manner::WrongTotal => (from, total + 4096),
                _ => (from, total),
            };
            format!("HTTP/1.1 206 X\r\nContent-Range: bytes {shown_from}-{}/{shown_total}\r\n", to - 1)
        } else {
            "HTTP/1.1 200 OK\r\n".to_owned()
        };
        let mut goes_on = true;
        match manner {
            Manner::NoRanges { says_length: false } => {
                head += "Connection: close\r\n";
                goes_on = false;
            }
            Manner::TooLong => {
                head += "Connection: close\r\n";
                body.push(0);
                goes_on = false;
            }
            _ => head += &format!("Content-Length: {}\r\n", body.len()),
        }
        out.write_all(format!("{head}\r\n").as_bytes())?;
        match manner {
            Manner::Cuts { after, times } if 0 < times && after < body.len() => {
                self.send(&mut out, &body[..after])?;
                Ok(false)
            }
            Manner::Dies { left } => {
                let n = left.min(body.len());
                self.shared.lock().unwrap().manner = Manner::Dies { left: left - n };
                self.send(&mut out, &body[..n])?;
                Ok(n == body.len())
            }
            Manner::Stalls { after } if after < body.len() => {
                self.send(&mut out, &body[..after])?;
                sleep(Duration::from_secs(20));
                Ok(false)
            }
            Manner::Drips => {
                for byte in body.chunks(1) {
                    self.send(&mut out, byte)?;
                    out.flush()?;
                    sleep(Duration::from_millis(5));
                }
                Ok(true)
            }
            _ => self.send(&mut out, &body).map(|()| goes_on),
        }
    }

    fn send(&self, out: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
        self.shared.lock().unwrap().body_bytes += bytes.len();
        out.write_all(bytes)
    }
}

//! A mirror for tests: a web server on the loopback interface that can be slow, cut off or wrong.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Mirror, Patience};
use crate::ctx::Ctx;
use crate::log::{Cancel, Log};

pub mod archive;

/// Short enough for tests, long enough for a busy machine.
pub const PATIENCE: Patience = Patience {
    answer: Duration::from_secs(5),
    silence: Duration::from_secs(2),
    tries: 3,
    pause: Duration::from_millis(10),
};

/// What goes wrong with a file.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The connection ends after so many bytes, this many times.
    Cut { after: usize, times: u32 },
    /// Nothing comes any more after so many bytes, this many times.
    Stall { after: usize, times: u32 },
    /// So many bytes at a time, with this pause.
    Slow { step: usize, pause: Duration },
    /// The server answers this status, this many times.
    Status { code: u16, times: u32 },
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    faults: BTreeMap<String, Fault>,
    no_ranges: bool,
    /// `PATH` or `PATH from N`, in the order of the requests.
    requests: Vec<String>,
}

/// The server; it ends with the process.
#[derive(Clone, Debug)]
pub struct Server {
    state: Arc<Mutex<State>>,
    /// Its base URL.
    pub url: String,
}

impl Server {
    /// Starts to serve nothing.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let server = Self { state: Arc::clone(&state), url };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&state);
                // A client that goes away is what some tests are about.
                std::thread::spawn(move || serve(stream.unwrap(), &state).ok());
            }
        });
        server
    }

    /// Serves these bytes.
    pub fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.state.lock().unwrap().files.insert(path.to_owned(), bytes.into());
    }

    /// Removes a file.
    pub fn remove(&self, path: &str) {
        self.state.lock().unwrap().files.remove(path).unwrap();
    }

    /// Returns what is served.
    pub fn bytes(&self, path: &str) -> Vec<u8> {
        self.state.lock().unwrap().files[path].clone()
    }

    /// Makes a file fail.
    pub fn fail(&self, path: &str, fault: Fault) {
        self.state.lock().unwrap().faults.insert(path.to_owned(), fault);
    }

    /// Answers with whole files only.
    pub fn forget_ranges(&self) {
        self.state.lock().unwrap().no_ranges = true;
    }

    /// Returns the requests since the last call.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    /// Returns the client's side.
    pub fn mirror(&self) -> Mirror {
        Mirror::open(&self.url, PATIENCE).unwrap()
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let path = request.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
    let mut from = None;
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse::<usize>().ok();
        }
        if line.is_empty() {
            break;
        }
    }
    let (file, fault) = {
        let mut state = state.lock().unwrap();
        let at = from.map(|from| format!(" from {from}")).unwrap_or_default();
        state.requests.push(format!("{path}{at}"));
        if state.no_ranges {
            from = None;
        }
        (state.files.get(&path).cloned(), take_fault(&mut state, &path))
    };
    let head = |status: &str, len: usize, more: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\nConnection: close\r\n{more}\r\n")
    };
    if let Some(Fault::Status { code, .. }) = fault {
        return stream.write_all(head(&format!("{code} x"), 0, "").as_bytes());
    }
    let Some(file) = file else { return stream.write_all(head("404 x", 0, "").as_bytes()) };
    let body = match from {
        Some(from) if file.len() <= from => return stream.write_all(head("416 x", 0, "").as_bytes()),
        Some(from) => &file[from..],
        None => &file[..],
    };
    let range = from.map(|from| format!("Content-Range: bytes {from}-{}/{}\r\n", file.len() - 1, file.len()));
    let status = if from.is_some() { "206 x" } else { "200 x" };
    stream.write_all(head(status, body.len(), &range.unwrap_or_default()).as_bytes())?;
    match fault {
        Some(Fault::Cut { after, .. }) => stream.write_all(&body[..after.min(body.len())]),
        Some(Fault::Stall { after, .. }) => {
            stream.write_all(&body[..after.min(body.len())])?;
            std::thread::sleep(Duration::from_secs(20));
            Ok(())
        }
        Some(Fault::Slow { step, pause }) => body.chunks(step).try_for_each(|chunk| {
            std::thread::sleep(pause);
            stream.write_all(chunk)
        }),
        Some(Fault::Status { .. }) | None => stream.write_all(body),
    }
}

/// Returns the fault of this request and counts it.
fn take_fault(state: &mut State, path: &str) -> Option<Fault> {
    let fault = state.faults.get_mut(path)?;
    let now = fault.clone();
    let over = match fault {
        Fault::Cut { times, .. } | Fault::Stall { times, .. } | Fault::Status { times, .. } => {
            *times = times.saturating_sub(1);
            *times == 0
        }
        Fault::Slow { .. } => false,
    };
    if over {
        state.faults.remove(path);
    }
    Some(now)
}

/// Returns a context whose checkout, target and cache are folders of `dir`.
pub fn ctx(dir: &Path) -> Ctx {
    let sub = |name: &str| {
        let path = dir.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    Ctx {
        repo: sub("repo"),
        target: sub("target"),
        cache: sub("cache"),
        log: Log::new(false),
        cancel: Cancel::on_signals().unwrap(),
    }
}

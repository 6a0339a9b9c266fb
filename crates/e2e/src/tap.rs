//! A connection to a server that can be cut: what comes back through it is counted, and after so many bytes the
//! server is as good as dead until it is mended.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

const UNLIMITED: u64 = u64::MAX;
/// Between two looks at what has passed.
const LOOK: Duration = Duration::from_millis(200);

/// A way to a server. Accepts no more connections when this value goes.
#[derive(Debug)]
pub struct Tap {
    address: SocketAddr,
    flow: Arc<Flow>,
}

#[derive(Debug)]
struct Flow {
    passed: AtomicU64,
    /// Bytes that pass before the cut.
    limit: AtomicU64,
    is_closed: AtomicBool,
}

impl Tap {
    /// Opens a way to `server`.
    pub fn open(server: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("opening a way to the server")?;
        let address = listener.local_addr()?;
        let (passed, limit) = (AtomicU64::new(0), AtomicU64::new(UNLIMITED));
        let flow = Arc::new(Flow { passed, limit, is_closed: AtomicBool::new(false) });
        let accepted = Arc::clone(&flow);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if accepted.is_closed.load(Ordering::SeqCst) {
                    return;
                }
                let flow = Arc::clone(&accepted);
                // A connection that breaks is what this is for.
                std::thread::spawn(move || client.and_then(|client| flow.join(&client, server)).ok());
            }
        });
        Ok(Self { address, flow })
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets so many more bytes come back, and then none.
    pub fn cut_after(&self, bytes: u64) {
        self.flow.limit.store(self.passed() + bytes, Ordering::SeqCst);
    }

    /// Ends the cut.
    pub fn mend(&self) {
        self.flow.limit.store(UNLIMITED, Ordering::SeqCst);
    }

    /// Returns how many bytes came back so far.
    pub fn passed(&self) -> u64 {
        self.flow.passed.load(Ordering::SeqCst)
    }

    /// Waits until the cut has come.
    pub fn wait_cut(&self, timeout: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + timeout;
        while self.passed() < self.flow.limit.load(Ordering::SeqCst) {
            ensure!(Instant::now() < end, "only {} bytes were asked for", self.passed());
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.flow.is_closed.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts; if that fails, it waits to the end of the program and does no harm.
        let _ = TcpStream::connect(self.address);
    }
}

impl Flow {
    fn join(&self, mut client: &TcpStream, server: SocketAddr) -> io::Result<()> {
        if self.limit.load(Ordering::SeqCst) <= self.passed.load(Ordering::SeqCst) {
            return client.shutdown(Shutdown::Both);
        }
        let mut server = TcpStream::connect(server)?;
        std::thread::scope(|scope| {
            let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
            scope.spawn(move || {
                // Ends when either side is gone.
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
            let res = self.answer(&mut client, &mut server);
            // Wakes the other direction.
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
            res
        })
    }

    fn answer(&self, client: &mut &TcpStream, server: &mut TcpStream) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        loop {
            let len = server.read(&mut buffer)?;
            let passed = self.passed.load(Ordering::SeqCst);
            let left = self.limit.load(Ordering::SeqCst).saturating_sub(passed);
            let allowed = len.min(usize::try_from(left).unwrap_or(usize::MAX));
            client.write_all(&buffer[..allowed])?;
            self.passed.fetch_add(u64::try_from(allowed).unwrap_or(0), Ordering::SeqCst);
            if allowed < len || len == 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers each connection with 1000 bytes.
    fn server() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                stream.unwrap().write_all(&[7; 1000]).unwrap();
            }
        });
        address
    }

    fn ask(tap: &Tap) -> usize {
        let mut answer = vec![];
        // A cut may show as a reset or as the end.
        let _ = TcpStream::connect(tap.address()).unwrap().read_to_end(&mut answer);
        answer.len()
    }

    #[test]
    fn passes_what_it_may_and_counts_it() {
        let tap = Tap::open(server()).unwrap();
        assert_eq!(ask(&tap), 1000);
        tap.cut_after(1300);
        assert_eq!((ask(&tap), ask(&tap)), (1000, 300));
        tap.wait_cut(Duration::ZERO).unwrap();
        assert_eq!(ask(&tap), 0);
        tap.mend();
        assert_eq!(ask(&tap), 1000);
        assert_eq!(tap.passed(), 3300);
    }
}

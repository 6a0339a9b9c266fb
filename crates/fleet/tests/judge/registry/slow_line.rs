//! A line to etcd that is slow, or holds up what is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use etcd_rpc::{Client, Config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// A line whose way to etcd can be held up. What was sent arrives when it goes on, however late; answers and watches
/// are not held up, so that whoever is behind it still hears, decides and writes.
pub struct SlowLine {
    /// Where the client connects.
    pub url: String,
    is_held: Arc<AtomicBool>,
    delay_ms: Arc<AtomicU64>,
}

impl SlowLine {
    /// Leads to `to`, such as `http://127.0.0.1:2379`.
    pub async fn to(to: &str) -> Self {
        let to = to.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let is_held = Arc::new(AtomicBool::new(false));
        let delay_ms = Arc::new(AtomicU64::new(0));
        let (held, delay) = (Arc::clone(&is_held), Arc::clone(&delay_ms));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&to).await else { continue };
                let ((mut from, mut back), (mut answers, mut forth)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(async move { tokio::io::copy(&mut answers, &mut back).await });
                let (held, delay) = (Arc::clone(&held), Arc::clone(&delay));
                tokio::spawn(async move {
                    let mut bytes = [0; 4096];
                    while let Ok(n) = from.read(&mut bytes).await {
                        let delay = Duration::from_millis(delay.load(Ordering::SeqCst));
                        if !delay.is_zero() {
                            sleep(delay).await;
                        }
                        while held.load(Ordering::SeqCst) {
                            sleep(Duration::from_millis(10)).await;
                        }
                        if n == 0 || forth.write_all(&bytes[..n]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { url, is_held, delay_ms }
    }

    /// A client that waits for answers for longer than any stall of the test.
    pub fn client(&self) -> Client {
        Client::new(Config::new([self.url.as_str()], Duration::from_secs(40))).unwrap()
    }

    /// Lets each piece that is sent wait for so long before it goes on.
    pub fn delay(&self, delay: Duration) {
        self.delay_ms.store(delay.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }

    /// Holds up what is sent from now on.
    pub fn hold(&self) {
        self.is_held.store(true, Ordering::SeqCst);
    }

    /// Lets all of it go on.
    pub fn go_on(&self) {
        self.is_held.store(false, Ordering::SeqCst);
    }
}

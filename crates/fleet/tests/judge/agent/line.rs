//! A line between a client and etcd that can be cut while both go on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A port that leads to another one while the line is whole.
pub struct Line {
    address: SocketAddr,
    is_cut: Arc<AtomicBool>,
    cuts: watch::Sender<u32>,
    accepting: JoinHandle<()>,
}

impl Line {
    /// Leads to `to`, such as `http://127.0.0.1:2379`.
    pub async fn to(to: &str) -> Self {
        let to = to.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let is_cut = Arc::new(AtomicBool::new(false));
        let (cuts, _) = watch::channel(0);
        let accepting = tokio::spawn(accept(listener, to, Arc::clone(&is_cut), cuts.clone()));
        Self { address, is_cut, cuts, accepting }
    }

    /// Where the client connects.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends all connections, and lets none be made.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        self.cuts.send_modify(|count| *count += 1);
    }

    /// Lets connections be made again.
    pub fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cuts.send_modify(|count| *count += 1);
    }
}

async fn accept(listener: TcpListener, to: String, is_cut: Arc<AtomicBool>, cuts: watch::Sender<u32>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let mut cut = cuts.subscribe();
        if is_cut.load(Ordering::SeqCst) {
            continue;
        }
        let to = to.clone();
        tokio::spawn(async move {
            let Ok(mut server) = TcpStream::connect(to).await else { return };
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                _ = cut.changed() => {}
            }
        });
    }
}

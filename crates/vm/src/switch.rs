//! A learning Ethernet switch between virtual machines, over one Unix socket.
//!
//! QEMU's `-netdev stream` sends each frame behind its length (4 bytes, big endian).
//! A frame to an address that was seen on one port goes there, every other frame to all ports but its own.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::home::listen_in;
use crate::machine::{Mac, SWITCH_SOCKET};

/// Largest frame: 64 KiB of a segmentation-offloaded packet, its virtio header and its Ethernet header.
const FRAME_MAX: usize = 0x11000;
/// Destination and source address, and type.
const FRAME_MIN: usize = 14;
/// A machine that takes no frames for this long (paused, frozen) loses its port; its QEMU connects again.
const WRITE_PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Ports {
    by_number: HashMap<u64, Arc<Mutex<UnixStream>>>,
    learned: HashMap<Mac, u64>,
    cut: bool,
    lost: u64,
    next: u64,
}

/// A running switch. Dropped, it disconnects everything.
#[derive(Debug)]
pub struct Switch {
    ports: Arc<Mutex<Ports>>,
    stop: Arc<AtomicBool>,
}

impl Switch {
    /// Serves every machine that has `dir` as the folder of its private network; there is no switch in it yet.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn in_dir(dir: &Path) -> std::io::Result<Self> {
        Self::new(listen_in(dir, SWITCH_SOCKET)?)
    }

    /// Serves every machine that connects to `listener`.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn new(listener: UnixListener) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        let (ports, stop) = (Arc::new(Mutex::new(Ports::default())), Arc::new(AtomicBool::new(false)));
        let (for_thread, stopped) = (Arc::clone(&ports), Arc::clone(&stop));
        std::thread::spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                match listener.accept() {
                    // A machine that went away while it connected is no concern of the others.
                    Ok((stream, _)) => drop(attach(stream, &for_thread)),
                    Err(_) => std::thread::sleep(Duration::from_millis(20)),
                }
            }
        });
        Ok(Self { ports, stop })
    }

    /// Drops all frames from now on, as if the cables were pulled.
    pub fn cut(&self) {
        lock(&self.ports).cut = true;
    }

    /// Carries frames again.
    pub fn mend(&self) {
        lock(&self.ports).cut = false;
    }

    /// Returns how many frames were lost because the network was cut.
    pub fn lost(&self) -> u64 {
        lock(&self.ports).lost
    }

    /// Returns how many machines are connected.
    pub fn connected(&self) -> usize {
        lock(&self.ports).by_number.len()
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for port in lock(&self.ports).by_number.values() {
            // Already closed is as good.
            drop(lock(port).shutdown(std::net::Shutdown::Both));
        }
    }
}

fn attach(stream: UnixStream, ports: &Arc<Mutex<Ports>>) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(WRITE_PATIENCE))?;
    let mut reader = stream.try_clone()?;
    let number = {
        let mut all = lock(ports);
        let number = all.next;
        all.next += 1;
        all.by_number.insert(number, Arc::new(Mutex::new(stream)));
        number
    };
    let ports = Arc::clone(ports);
    std::thread::spawn(move || {
        // The end of a machine and a malformed frame both end its port.
        while let Ok(frame) = read_frame(&mut reader) {
            forward(&frame, number, &ports);
        }
        remove(number, &ports);
    });
    Ok(())
}

/// Reads one frame with its length in front of it.
fn read_frame(reader: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    reader.read_exact(&mut length)?;
    let len = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if !(FRAME_MIN..=FRAME_MAX).contains(&len) {
        let text = format!("frame of {len} bytes, not {FRAME_MIN} to {FRAME_MAX}");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, text));
    }
    let mut frame = vec![0; 4 + len];
    frame[..4].copy_from_slice(&length);
    reader.read_exact(&mut frame[4..])?;
    Ok(frame)
}

/// Sends `frame` (its length in front) on from the port `from`.
fn forward(frame: &[u8], from: u64, ports: &Mutex<Ports>) {
    let (to, source) = (mac_at(frame, 4), mac_at(frame, 10));
    let targets: Vec<(u64, Arc<Mutex<UnixStream>>)> = {
        let mut all = lock(ports);
        if all.cut {
            all.lost += 1;
            return;
        }
        all.learned.insert(source, from);
        let known = all.learned.get(&to).copied().filter(|port| all.by_number.contains_key(port));
        let wanted = |number: u64| known.map_or(number != from, |port| number == port && port != from);
        let chosen = all.by_number.iter().filter(|(number, _)| wanted(**number));
        chosen.map(|(number, port)| (*number, Arc::clone(port))).collect()
    };
    for (number, port) in targets {
        // After a partial write the stream has lost its frame boundaries, so the port is closed.
        let sent = lock(&port).write_all(frame);
        if sent.is_err() {
            drop(lock(&port).shutdown(std::net::Shutdown::Both));
            remove(number, ports);
        }
    }
}

fn remove(number: u64, ports: &Mutex<Ports>) {
    let mut all = lock(ports);
    all.by_number.remove(&number);
    all.learned.retain(|_, port| *port != number);
}

fn mac_at(frame: &[u8], at: usize) -> Mac {
    let mut mac = [0; 6];
    mac.copy_from_slice(&frame[at..at + 6]);
    Mac(mac)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::connect_in;
    use std::time::Instant;

    const BROADCAST: [u8; 6] = [0xff; 6];

    fn plug(path: &Path, switch: &Switch, expected: usize) -> UnixStream {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while switch.connected() < expected {
            assert!(Instant::now() < end, "the switch did not take the connection");
            std::thread::sleep(Duration::from_millis(5));
        }
        stream
    }

    fn send(stream: &mut UnixStream, to: [u8; 6], from: [u8; 6], text: &[u8]) {
        let mut frame = u32::try_from(14 + text.len()).unwrap().to_be_bytes().to_vec();
        for part in [&to[..], &from[..], &[0x88, 0xb5], text] {
            frame.extend_from_slice(part);
        }
        stream.write_all(&frame).unwrap();
    }

    fn receive(stream: &mut UnixStream) -> Vec<u8> {
        read_frame(stream).unwrap()[18..].to_vec()
    }

    #[test]
    fn floods_the_unknown_and_learns_the_known() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let switch = Switch::new(UnixListener::bind(&path).unwrap()).unwrap();
        let [mut a, mut b, mut c] = [1, 2, 3].map(|expected| plug(&path, &switch, expected));
        let [mac_a, mac_b, mac_c] = [1, 2, 3].map(|last| [2, 0, 0, 0, 0, last]);

        send(&mut a, BROADCAST, mac_a, b"who");
        assert_eq!(receive(&mut b), b"who");
        assert_eq!(receive(&mut c), b"who");
        // b answers a alone; what c gets next is the broadcast after it.
        send(&mut b, mac_a, mac_b, b"me");
        assert_eq!(receive(&mut a), b"me");
        send(&mut b, BROADCAST, mac_b, b"all");
        // Both before c answers: each port has a thread of its own.
        assert_eq!(receive(&mut a), b"all");
        assert_eq!(receive(&mut c), b"all");
        // A known address on the sender's own port goes nowhere.
        send(&mut c, mac_c, mac_c, b"self");
        send(&mut c, mac_a, mac_c, b"last");
        assert_eq!(receive(&mut a), b"last");
    }

    #[test]
    fn a_folder_with_a_long_name_has_a_switch_too() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("n".repeat(120));
        std::fs::create_dir(&long).unwrap();
        let switch = Switch::in_dir(&long).unwrap();
        let _stream = connect_in(&long, SWITCH_SOCKET).unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while switch.connected() != 1 {
            assert!(Instant::now() < end, "the switch did not take the connection");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_frame_over_the_limit_ends_its_port() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let switch = Switch::new(UnixListener::bind(&path).unwrap()).unwrap();
        let mut a = plug(&path, &switch, 1);
        a.write_all(&u32::MAX.to_be_bytes()).unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while switch.connected() != 0 {
            assert!(Instant::now() < end, "the port stayed open");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_cut_network_carries_nothing_until_mended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let switch = Switch::new(UnixListener::bind(&path).unwrap()).unwrap();
        let (mut a, mut b) = (plug(&path, &switch, 1), plug(&path, &switch, 2));
        switch.cut();
        send(&mut a, BROADCAST, [2, 0, 0, 0, 0, 1], b"lost");
        let end = Instant::now() + Duration::from_secs(60);
        while switch.lost() == 0 {
            assert!(Instant::now() < end, "the switch did not take the frame");
            std::thread::sleep(Duration::from_millis(5));
        }
        switch.mend();
        // The next frame that arrives is one that was sent later.
        send(&mut a, BROADCAST, [2, 0, 0, 0, 0, 1], b"found");
        assert_eq!(receive(&mut b), b"found");
    }
}

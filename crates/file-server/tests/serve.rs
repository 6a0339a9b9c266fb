//! The server as a client sees it, over a real connection.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use file_server::Server;

struct Answer {
    head: String,
    body: Vec<u8>,
}

/// A connection that stays open from one request to the next.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(server: &Server) -> Self {
        Self(BufReader::new(TcpStream::connect(server.address()).unwrap()))
    }

    fn ask(&mut self, method: &str, target: &str, fields: &str) -> Answer {
        write!(self.0.get_mut(), "{method} {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n").unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).unwrap(), 0, "closed after `{head}`");
        }
        let len = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
        let mut body = vec![0; if method == "HEAD" { 0 } else { len.parse().unwrap() }];
        self.0.read_exact(&mut body).unwrap();
        Answer { head, body }
    }

    fn is_closed(&mut self) -> bool {
        self.0.read_to_end(&mut vec![]).unwrap() == 0
    }
}

fn server(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Server, Arc<Mutex<Vec<String>>>) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    for (name, bytes) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let lines = Arc::new(Mutex::new(vec![]));
    let log = Arc::clone(&lines);
    let server = Server::start(&root, "127.0.0.1:0".parse().unwrap(), move |line| {
        log.lock().unwrap().push(line.to_owned());
    });
    (dir, server.unwrap(), lines)
}

#[test]
fn serves_files_and_ranges_over_one_connection() {
    let big: Vec<u8> = (0..1_000_003_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let (_dir, server, lines) = server(&[("payloads/big", &big), ("empty", b"")]);
    let mut client = Client::new(&server);
    let whole = client.ask("GET", "/payloads/big", "");
    assert!(whole.head.starts_with("HTTP/1.1 200 OK\r\n"), "{}", whole.head);
    assert!(whole.head.contains("Accept-Ranges: bytes\r\n"));
    assert_eq!(whole.body, big);
    let part = client.ask("GET", "/payloads/big", "Range: bytes=4096-8191\r\n");
    assert!(part.head.starts_with("HTTP/1.1 206 "), "{}", part.head);
    assert!(part.head.contains("Content-Range: bytes 4096-8191/1000003\r\n"), "{}", part.head);
    assert_eq!(part.body, big[4096..8192]);
    let end = client.ask("GET", "/payloads/big", "Range: bytes=-3\r\n");
    assert_eq!(end.body, big[1_000_000..]);
    let behind = client.ask("GET", "/payloads/big", "Range: bytes=1000003-\r\n");
    assert!(behind.head.starts_with("HTTP/1.1 416 "), "{}", behind.head);
    assert!(behind.head.contains("Content-Range: bytes */1000003\r\n"));
    let several = client.ask("GET", "/payloads/big", "Range: bytes=0-1,4-5\r\n");
    assert!(several.head.starts_with("HTTP/1.1 200 "), "{}", several.head);
    let head = client.ask("HEAD", "/payloads/big", "");
    assert!(head.head.contains("Content-Length: 1000003\r\n"), "{}", head.head);
    assert_eq!(client.ask("GET", "/empty", "").body, b"");
    let lines = lines.lock().unwrap();
    let ends = |idx: usize, end: &str| assert!(lines[idx].ends_with(end), "{}", lines[idx]);
    ends(0, " GET /payloads/big 200 1000003");
    ends(1, " GET /payloads/big bytes=4096-8191 206 4096");
    ends(3, " GET /payloads/big bytes=1000003- 416 0");
}

#[test]
fn gives_the_whole_file_when_it_changed_since_the_last_range() {
    let (dir, server, _) = server(&[("file", b"0123456789")]);
    let mut client = Client::new(&server);
    let first = client.ask("GET", "/file", "Range: bytes=0-3\r\n");
    let etag = first.head.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
    let fields = format!("Range: bytes=4-\r\nIf-Range: {etag}\r\n");
    assert_eq!(client.ask("GET", "/file", &fields).body, b"456789");
    fs::write(dir.path().join("root/file"), b"abcdefghijk").unwrap();
    assert_eq!(client.ask("GET", "/file", &fields).body, b"abcdefghijk");
}

#[test]
fn serves_nothing_outside_of_its_folder() {
    let (dir, server, _) = server(&[("a/file", b"inside"), ("a/.tmp-x", b"half made")]);
    fs::write(dir.path().join("secret"), b"outside").unwrap();
    let root = dir.path().join("root");
    std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
    std::os::unix::fs::symlink("a/file", root.join("inner")).unwrap();
    let mut client = Client::new(&server);
    for target in [
        "/../secret",
        "/a/../../secret",
        "/%2e%2e/secret",
        "/a/%2E%2E/%2E%2E/secret",
        "/..%2fsecret",
        "/link",
        "/a",
        "/a/",
        "/",
        "//a/file",
        "/a/.tmp-x",
        "/nothing",
    ] {
        let answer = client.ask("GET", target, "");
        assert!(answer.head.starts_with("HTTP/1.1 404 "), "{target}: {}", answer.head);
        assert!(answer.body.is_empty());
    }
    assert_eq!(client.ask("GET", "/inner", "").body, b"inside");
}

#[test]
fn refuses_other_methods_and_bodies() {
    let (_dir, server, lines) = server(&[("file", b"x")]);
    let mut client = Client::new(&server);
    let answer = client.ask("DELETE", "/file", "");
    assert!(answer.head.starts_with("HTTP/1.1 405 ") && answer.head.contains("Allow: GET, HEAD"));
    let answer = client.ask("GET", "/file", "Content-Length: 3\r\n");
    assert!(answer.head.starts_with("HTTP/1.1 400 "), "{}", answer.head);
    assert!(client.is_closed());
    assert!(lines.lock().unwrap()[1].contains("400 requests have no body here"));
    let mut client = Client::new(&server);
    client.ask("GET", "/file", "Connection: close\r\n");
    assert!(client.is_closed());
}

#[test]
fn a_dropped_server_accepts_no_more() {
    let (_dir, server, _) = server(&[("file", b"x")]);
    let address = server.address();
    assert_eq!(server.url(), format!("http://{address}/"));
    drop(server);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_missing_folder_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let err = Server::start(&missing, "127.0.0.1:0".parse().unwrap(), |_| {}).unwrap_err();
    assert!(err.to_string().starts_with("opening the folder "), "{err}");
}

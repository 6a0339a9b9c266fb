//! The browser, in the sandbox of its tools tree: it sees its own files and a folder, and knows no names of the network.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use vm::Sandbox;

/// The program below the tree; what is in `/usr/bin` is a script for a shell that the tree has not.
const PROGRAM: &str = "/usr/lib/chromium/chromium-headless-shell";
/// What says that the policy refused something.
const REFUSED: [&str; 3] = ["Content Security Policy", "Content-Security-Policy", "Refused to"];

/// The browser.
pub struct Browser {
    sandbox: Sandbox,
    work: tempfile::TempDir,
}

/// How colors are preferred.
#[derive(Debug, Clone, Copy)]
pub enum Scheme {
    Light,
    Dark,
}

/// What came of a look.
#[derive(Debug)]
pub struct Look {
    /// The document after it was read, as text.
    pub text: String,
    /// What the browser said.
    pub said: String,
    /// Addresses that it asked for, in order.
    pub requested: Vec<String>,
    /// The picture, as a PNG file.
    pub picture: Vec<u8>,
}

impl Look {
    /// Lines in which the browser says that a policy refused something.
    pub fn complaints(&self) -> Vec<String> {
        let refused = |line: &&str| REFUSED.iter().any(|words| line.contains(words));
        self.said.lines().filter(refused).map(str::to_owned).collect()
    }
}

impl Browser {
    /// Finds it; `None` without the tree.
    pub fn found() -> Option<Self> {
        let Some(tree) = std::env::var_os("SLIPWAY_BROWSER") else {
            println!("skipped: `cargo xtask test judge` runs this with the tools tree");
            return None;
        };
        let work = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::new(PathBuf::from(tree)).bind(work.path());
        sandbox.probe().unwrap();
        Some(Self { sandbox, work })
    }

    /// Makes a file that it can open, and returns its address.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.work.path().join(name);
        fs::write(&path, text).unwrap();
        format!("file://{}", path.display())
    }

    /// Opens a page and returns what it made of it.
    pub fn dom(&self, url: &str) -> Look {
        self.look(url, &["--dump-dom".to_owned()])
    }

    /// Opens a page and takes its picture.
    pub fn picture(&self, url: &str, width: u32, scheme: Scheme) -> Look {
        let picture = self.work.path().join("picture.png");
        let scheme = match scheme {
            Scheme::Dark => 0,
            Scheme::Light => 1,
        };
        let args = [
            format!("--screenshot={}", picture.display()),
            format!("--window-size={width},1400"),
            format!("--blink-settings=preferredColorScheme={scheme}"),
            "--hide-scrollbars".to_owned(),
        ];
        let look = self.look(url, &args);
        // Whoever wants to see them says where to.
        if let Some(dir) = std::env::var_os("SLIPWAY_PICTURES") {
            fs::copy(&picture, PathBuf::from(dir).join(format!("{width}-{scheme}.png"))).unwrap();
        }
        Look { picture: fs::read(&picture).unwrap(), ..look }
    }

    fn look(&self, url: &str, args: &[String]) -> Look {
        let log = self.work.path().join("net.json");
        let mut command = self.sandbox.command(PROGRAM);
        command.args([
            "--headless",
            // It is in a sandbox already, in which it cannot make another.
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-proxy-server",
            "--enable-logging=stderr",
            // No name of the network leads anywhere but to this machine.
            "--host-resolver-rules=MAP evil.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ]);
        command.arg(format!("--log-net-log={}", log.display())).args(args).arg(url).stdin(Stdio::null());
        let out = command.output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{said}");
        let text = String::from_utf8(out.stdout).unwrap();
        Look { text, said, requested: requested(&fs::read_to_string(&log).unwrap()), picture: Vec::new() }
    }
}

/// Addresses of the log's requests that were begun, each once.
fn requested(log: &str) -> Vec<String> {
    let log: Value = serde_json::from_str(log).unwrap();
    let begun = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"].as_u64().unwrap();
    let mut found = Vec::new();
    for event in log["events"].as_array().unwrap().iter().filter(|event| event["type"] == begun) {
        if let Some(url) = event["params"]["url"].as_str()
            && !found.iter().any(|known| known == url)
        {
            found.push(url.to_owned());
        }
    }
    found
}

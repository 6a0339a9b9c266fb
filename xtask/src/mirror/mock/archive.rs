//! A signed archive on the mock mirror, with packages made here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, KeyType, SecretKeyParamsBuilder, SignedPublicKey, SignedSecretKey,
};
use pgp::types::Password;
use rand08::thread_rng;

use super::Server;
use crate::definition::Definition;
use crate::hash;

/// The suites of the committed definition: folder below the mirror and name.
const SUITES: [(&str, &str); 3] =
    [("debian", "trixie"), ("debian", "trixie-updates"), ("debian-security", "trixie-security")];
const COMPONENTS: [&str; 2] = ["main", "non-free-firmware"];

/// What is in the first suite's `main`; all else is empty.
pub struct Archive {
    server: Server,
    key: SignedSecretKey,
    /// Paragraphs of the index by name of the package.
    packages: BTreeMap<String, String>,
    /// Paths of the published `.deb`s.
    pool: Vec<String>,
    /// Index of the source packages.
    sources: String,
}

impl Archive {
    /// Makes an empty archive with a key of its own.
    pub fn new(server: &Server) -> Self {
        let mut params = SecretKeyParamsBuilder::default();
        params.key_type(KeyType::Ed25519Legacy).can_sign(true).primary_user_id("TEST_KEY_DO_NOT_USE".into());
        let key = params.build().unwrap().generate(thread_rng()).unwrap();
        Self {
            server: server.clone(),
            key,
            packages: BTreeMap::new(),
            pool: Vec::new(),
            sources: String::new(),
        }
    }

    /// Makes a checkout trust the archive.
    pub fn trust(&self, repo: &Path) {
        let dir = repo.join("image/archive-keys");
        fs::create_dir_all(&dir).unwrap();
        let public =
            SignedPublicKey::from(self.key.clone()).to_armored_string(ArmorOptions::default()).unwrap();
        fs::write(dir.join("test.asc"), public).unwrap();
    }

    /// Adds a package, described by the fields of its control file.
    pub fn add(&mut self, control: &str, bytes: Vec<u8>) {
        let field =
            |name: &str| deb::control::paragraphs(control).next().unwrap().unwrap().get(name).unwrap();
        let sha256 = hash::of_bytes(&bytes);
        // By content, so that another file of the same version has another path.
        let path = format!("pool/{}/{}.deb", &sha256[..8], field("Package"));
        let paragraph =
            format!("{}\nFilename: {path}\nSize: {}\nSHA256: {}\n", control.trim_end(), bytes.len(), sha256);
        self.packages.insert(field("Package").to_owned(), paragraph);
        self.pool.push(format!("debian/{path}"));
        self.server.put(&format!("debian/{path}"), bytes);
    }

    /// Adds a source package of one file.
    pub fn add_source(&mut self, name: &str, version: &str, content: &str) {
        let file = format!("{name}_{version}.dsc");
        let (sha256, len) = (hash::of_bytes(content.as_bytes()), content.len());
        write!(
            self.sources,
            "Package: {name}\nVersion: {version}\nDirectory: pool/{name}\nChecksums-Sha256:\n {sha256} {len} {file}\n\n"
        )
        .unwrap();
        self.server.put(&format!("debian/pool/{name}/{file}"), content);
    }

    /// Removes every package, as a mirror does some time after their successors came.
    pub fn clear(&mut self) {
        self.packages.clear();
        for path in std::mem::take(&mut self.pool) {
            self.server.remove(&path);
        }
    }

    /// Writes and signs the indexes; `more` is added to the fields of every `Release`.
    pub fn publish(&self, more: &str) {
        let index: Vec<&str> = self.packages.values().map(String::as_str).collect();
        for (idx, (archive, suite)) in SUITES.into_iter().enumerate() {
            let mut sums = String::new();
            let packages = index.join("\n");
            let indexes = COMPONENTS.iter().flat_map(|name| {
                [("binary-amd64/Packages.xz", &packages), ("source/Sources.xz", &self.sources)]
                    .map(|(path, text)| (*name, format!("{name}/{path}"), text))
            });
            for (component, path, text) in indexes {
                let full = idx == 0 && component == "main";
                let text = if full { text.clone() } else { String::new() };
                let packed = liblzma::encode_all(text.as_bytes(), 1).unwrap();
                writeln!(sums, " {} {} {path}", hash::of_bytes(&packed), packed.len()).unwrap();
                self.server.put(&format!("{archive}/dists/{suite}/{path}"), packed);
            }
            let date = "Date: Sat, 21 Nov 2020 09:15:44 UTC";
            let text = format!("Codename: {suite}\n{date}\n{more}SHA256:\n{sums}");
            let message =
                CleartextSignedMessage::sign(thread_rng(), &text, &self.key.primary_key, &Password::empty());
            let signed = message.unwrap().to_armored_string(ArmorOptions::default()).unwrap();
            self.server.put(&format!("{archive}/dists/{suite}/InRelease"), signed);
        }
    }
}

/// Returns a package with these files, and what `control` says.
pub fn deb(files: &[(&str, &str)]) -> Vec<u8> {
    let mut data = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        header.set_size(text.len().try_into().unwrap());
        data.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    let control = tar::Builder::new(Vec::new()).into_inner().unwrap();
    let mut bytes = b"!<arch>\n".to_vec();
    add_part(&mut bytes, "debian-binary", b"2.0\n");
    add_part(&mut bytes, "control.tar", &control);
    add_part(&mut bytes, "data.tar", &data.into_inner().unwrap());
    bytes
}

/// Appends a part to a package, which readers skip when its name starts with an underscore (deb(5)).
pub fn add_part(bytes: &mut Vec<u8>, name: &str, content: &[u8]) {
    if bytes.len() % 2 == 1 {
        bytes.push(b'\n');
    }
    writeln!(bytes, "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`", 0, 0, 0, 100_644, content.len()).unwrap();
    bytes.extend_from_slice(content);
}

/// Returns the committed definition with these packages of the image and these tools.
pub fn definition(packages: &str, tools: &str) -> Definition {
    let text = include_str!("../../../../image/image.yaml");
    let (before, rest) = text.split_once("\npackages:\n").unwrap();
    let (_, after) = rest.split_once("\naccounts:\n").unwrap();
    // The groups that the budgets depend on.
    let optional: String = ["firmware", "microcode"]
        .iter()
        .filter(|group| !packages.contains(&format!("  {group}:")))
        .map(|group| format!("\n  {group}: {{ optional: true, packages: [] }}"))
        .collect();
    let text = format!("{before}\npackages:\n{packages}{optional}\ntools:\n{tools}\naccounts:\n{after}");
    Definition::parse(&text).unwrap()
}

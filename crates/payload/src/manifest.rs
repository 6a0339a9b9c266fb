//! The payload manifest: the signed JSON that everything else in a payload is checked against.
//!
//! `docs/formats/payload.md` describes every field. Unknown fields are passed over, so that a later payload
//! can tell more; one that an agent must not pass over comes with a new format number of the envelope.

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, ParseDigestError, parse_hex};
use crate::layout::{ALIGNMENT, Extent, Layout, LayoutError, SectionLens};
use crate::text::{self, shown};

/// Longest payload in bytes.
pub const PAYLOAD_MAX: u64 = 5 << 30;
/// Most blocks of a `/usr` image: 4 GiB.
pub const USR_BLOCKS_MAX: u64 = (4 << 30) / ALIGNMENT;

/// What the machine's processor has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit x86, as in the names of the Discoverable Partitions Specification.
    X86_64,
}

/// What a payload holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Name of the product: 1 to 32 of a-z, 0-9 and `-`.
    pub product: String,
    /// Version as text; crate `slots` reads it.
    pub version: String,
    /// Processor.
    pub architecture: Architecture,
    /// Lowest version that may take it, as text.
    pub min_from: String,
    /// dm-verity root hash of the `/usr` image.
    pub root_hash: Digest,
    /// Salt of the tree: one per product, so that the trees of two versions can be compared.
    pub salt: Digest,
    /// UUID in the tree's superblock, which the machine writes.
    pub verity_uuid: [u8; 16],
    /// Places of the sections.
    pub layout: Layout,
    /// SHA-256 of the UKI.
    pub uki_sha256: Digest,
    /// SHA-256 of its block list.
    pub uki_blocks_sha256: Digest,
    /// SHA-256 of the boot loader.
    pub loader_sha256: Digest,
    /// SHA-256 of the hash tree's block list.
    pub tree_blocks_sha256: Digest,
    /// Time of the locked packages, seconds since 1970.
    pub build_time: u64,
}

/// Why a text is no manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// No JSON of that shape.
    #[error("payload manifest: {0}")]
    Json(String),
    /// A field has a value that we do not accept.
    #[error("payload manifest, field `{field}`: expected {expected}, found `{found}`")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What is accepted.
        expected: &'static str,
        /// The value, shortened.
        found: String,
    },
    /// A field is no hexadecimal number.
    #[error("payload manifest, field `{field}`")]
    Hex {
        /// Name of the field.
        field: &'static str,
        /// The cause.
        #[source]
        source: ParseDigestError,
    },
    /// A length is beyond its limit.
    #[error("payload manifest")]
    Layout(#[from] LayoutError),
    /// A section is not where its place is.
    #[error("payload manifest, section `{section}` is at {found}: expected {expected}")]
    Place {
        /// Name of the section.
        section: &'static str,
        /// Where it ought to be.
        expected: u64,
        /// Where the manifest says it is.
        found: u64,
    },
}

/// The JSON.
#[derive(Serialize, Deserialize)]
struct Wire {
    product: String,
    version: String,
    architecture: String,
    min_from: String,
    build_time: u64,
    root_hash: String,
    hash_type: u32,
    block_size: u64,
    salt: String,
    verity_uuid: String,
    usr_blocks: u64,
    uki_blocks: WireSection,
    uki: WireSection,
    loader: WireSection,
    tree_blocks: WireSection,
    tree: WirePlace,
    usr: WirePlace,
    total_length: u64,
}

#[derive(Serialize, Deserialize)]
struct WireSection {
    offset: u64,
    size: u64,
    sha256: String,
}

/// The tree is vouched for by the root hash, the image by the tree.
#[derive(Serialize, Deserialize)]
struct WirePlace {
    offset: u64,
    size: u64,
}

impl Manifest {
    /// Reads the body of an envelope of `envelope_len` bytes.
    pub fn parse(body: &[u8], envelope_len: u64) -> Result<Self, ManifestError> {
        let wire: Wire = serde_json::from_slice(body).map_err(|err| ManifestError::Json(err.to_string()))?;
        let lens = SectionLens {
            uki_blocks: wire.uki_blocks.size,
            uki: wire.uki.size,
            loader: wire.loader.size,
            tree_blocks: wire.tree_blocks.size,
            tree: wire.tree.size,
            usr: wire.usr.size,
        };
        let layout = Layout::new(envelope_len, &lens)?;
        let places = [
            ("uki_blocks", layout.uki_blocks, wire.uki_blocks.offset),
            ("uki", layout.uki, wire.uki.offset),
            ("loader", layout.loader, wire.loader.offset),
            ("tree_blocks", layout.tree_blocks, wire.tree_blocks.offset),
            ("tree", layout.tree, wire.tree.offset),
            ("usr", layout.usr, wire.usr.offset),
        ];
        for (section, Extent { offset: expected, .. }, found) in places {
            if expected != found {
                return Err(ManifestError::Place { section, expected, found });
            }
        }
        let architecture = Architecture::parse(&wire.architecture);
        number("hash_type", "1", wire.hash_type.into(), 1)?;
        number("block_size", "4096", wire.block_size, ALIGNMENT)?;
        number("usr_blocks", "the size of `usr` in blocks", wire.usr_blocks, lens.usr / ALIGNMENT)?;
        number("total_length", "the end of `usr`", wire.total_length, layout.total())?;
        Ok(Self {
            product: checked("product", "1 to 32 of a-z, 0-9 and `-`", wire.product, text::is_name)?,
            version: version("version", wire.version)?,
            architecture: architecture.ok_or(ManifestError::Field {
                field: "architecture",
                expected: "x86-64",
                found: shown(&wire.architecture),
            })?,
            min_from: version("min_from", wire.min_from)?,
            root_hash: hex("root_hash", &wire.root_hash)?,
            salt: hex("salt", &wire.salt)?,
            verity_uuid: parse_hex(&wire.verity_uuid)
                .map_err(|source| ManifestError::Hex { field: "verity_uuid", source })?,
            layout,
            uki_sha256: hex("uki.sha256", &wire.uki.sha256)?,
            uki_blocks_sha256: hex("uki_blocks.sha256", &wire.uki_blocks.sha256)?,
            loader_sha256: hex("loader.sha256", &wire.loader.sha256)?,
            tree_blocks_sha256: hex("tree_blocks.sha256", &wire.tree_blocks.sha256)?,
            build_time: wire.build_time,
        })
    }

    /// Returns the number of blocks of the `/usr` image.
    pub fn usr_blocks(&self) -> u64 {
        self.layout.usr.len / ALIGNMENT
    }

    /// Returns the text of the manifest: the same fields give the same bytes.
    pub fn to_json(&self) -> Vec<u8> {
        let section = |extent: Extent, sha256: Digest| WireSection {
            offset: extent.offset,
            size: extent.len,
            sha256: sha256.to_string(),
        };
        let place = |extent: Extent| WirePlace { offset: extent.offset, size: extent.len };
        let wire = Wire {
            product: self.product.clone(),
            version: self.version.clone(),
            architecture: self.architecture.name().to_owned(),
            min_from: self.min_from.clone(),
            build_time: self.build_time,
            root_hash: self.root_hash.to_string(),
            hash_type: 1,
            block_size: ALIGNMENT,
            salt: self.salt.to_string(),
            verity_uuid: self.verity_uuid.iter().map(|byte| format!("{byte:02x}")).collect(),
            usr_blocks: self.usr_blocks(),
            uki_blocks: section(self.layout.uki_blocks, self.uki_blocks_sha256),
            uki: section(self.layout.uki, self.uki_sha256),
            loader: section(self.layout.loader, self.loader_sha256),
            tree_blocks: section(self.layout.tree_blocks, self.tree_blocks_sha256),
            tree: place(self.layout.tree),
            usr: place(self.layout.usr),
            total_length: self.layout.total(),
        };
        serde_json::to_vec_pretty(&wire).expect("strings and numbers are JSON")
    }
}

impl Architecture {
    /// Returns the name in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86-64",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        (text == Self::X86_64.name()).then_some(Self::X86_64)
    }
}

fn hex(field: &'static str, text: &str) -> Result<Digest, ManifestError> {
    text.parse().map_err(|source| ManifestError::Hex { field, source })
}

fn version(field: &'static str, found: String) -> Result<String, ManifestError> {
    checked(field, "a version of at most 20 characters", found, text::is_version)
}

fn checked(
    field: &'static str,
    expected: &'static str,
    found: String,
    is_valid: fn(&str) -> bool,
) -> Result<String, ManifestError> {
    if is_valid(&found) {
        Ok(found)
    } else {
        Err(ManifestError::Field { field, expected, found: shown(&found) })
    }
}

fn number(field: &'static str, expected: &'static str, found: u64, wanted: u64) -> Result<(), ManifestError> {
    if found == wanted {
        Ok(())
    } else {
        Err(ManifestError::Field { field, expected, found: found.to_string() })
    }
}

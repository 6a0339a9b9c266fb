//! The signed update payload, the signed channel file and the signed sums of a release: one definition for the build
//! that writes them and for who reads them. See `docs/formats/payload.md`, `channel.md` and `sums.md` there.
//!
//! Everything takes bytes, `Read` or `Write`, never paths, sockets, clocks or logs. What was parsed is valid;
//! whether it is to be believed, [`Trust::verify`] alone says.

pub mod channel;
pub mod plan;
pub mod sums;

mod blocks;
mod digest;
mod envelope;
mod key;
mod layout;
mod manifest;
mod retired;
mod text;
mod trust;
mod write;

pub use blocks::{BLOCK_SIZE, BLOCKS_MAX, Block, BlockList, BlockListError, ReadBlocksError, UKI_MAX};
pub use channel::Channel;
pub use digest::{Digest, ParseDigestError};
pub use envelope::{
    BODY_MAX, ENVELOPE_MAX, Envelope, EnvelopeError, Kind, PREFIX_LEN, SIGNATURES_MAX, Signature, seal,
};
pub use key::{KeyError, KeyId, PublicKey, SecretKey};
pub use layout::{ALIGNMENT, Extent, Layout, LayoutError, SectionLens};
pub use manifest::{Architecture, Manifest, ManifestError, PAYLOAD_MAX, USR_BLOCKS_MAX};
pub use retired::{RetiredError, parse_retired};
pub use trust::{Trust, TrustError};
pub use write::{Parts, WriteError, write};

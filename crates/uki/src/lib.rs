//! Unified kernel images: PE files whose sections carry kernel, initrd, command line and the rest
//! (<https://uapi-group.org/specifications/specs/unified_kernel_image/>).
//!
//! Reads any PE32+ file within limits, checks that one is a bootable UKI, and writes command line addons.
//! Building a whole UKI is ukify's work.

mod addon;
mod headers;
mod pe;
mod section;
mod validate;

pub use addon::{AddonError, CMDLINE_MAX, append_section, cmdline_addon};
pub use headers::{HEAD_LEN, PeError, PeSection, SECTIONS_MAX, section_starts};
pub use pe::Pe;
pub use section::Section;
pub use validate::{REQUIRED, Uki, UkiError, validate_uki};

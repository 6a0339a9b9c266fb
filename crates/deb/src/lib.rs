//! Debian's formats, as far as building an image from an archive needs them.
//!
//! - [`version`]: how versions compare;
//! - [`control`]: paragraphs of fields, the syntax of every control file;
//! - [`dependency`]: `Depends` and its relatives, and [`closure`] over them;
//! - [`index`], [`source_index`] and [`release`]: what an archive offers, and [`signature`]: who vouches for it;
//! - [`package`]: what is in a `.deb`, and [`unpack`]: putting it into a folder.
//!
//! All but [`unpack`] take bytes or [`std::io::Read`] and touch no file; nothing here asks for the time.

pub mod closure;
pub mod compression;
pub mod control;
pub mod date;
pub mod dependency;
pub mod index;
pub mod package;
pub mod release;
pub mod signature;
pub mod source_index;
pub mod unpack;
pub mod version;

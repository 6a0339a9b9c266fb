//! The status page of a cluster: what the programs of one machine say of all machines, as a page, a document or a table.
//!
//! [`view`], [`events`], [`page`], [`table`] and [`answer`] know no clock, file or socket; [`ask`] runs the programs and
//! [`serve`] the server. `docs/operating/status-page.md` is for those who run machines.

pub mod answer;
pub mod ask;
pub mod clean;
pub mod documents;
pub mod events;
pub mod flags;
pub mod known;
pub mod listen;
pub mod markup;
pub mod page;
pub mod program;
pub mod serve;
pub mod server;
pub mod show;
pub mod source;
pub mod summary;
pub mod table;
#[cfg(test)]
mod testing;
pub mod view;

//! Multi-ISA files: the executable (`executable`, docs/format.md) and reports on it (`inspect`).
//! The only place that knows the formats.

mod error;
pub mod executable;
pub mod inspect;
pub mod object_file;
pub mod site_table;

pub use error::ImageError;
pub use executable::{Image, IsaPart, Parts, compose};
pub use inspect::{Report, inspect, render_human};

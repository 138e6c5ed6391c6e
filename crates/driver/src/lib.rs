//! driver

pub mod cc;
pub mod link;
pub mod rust;
pub mod sysroot;

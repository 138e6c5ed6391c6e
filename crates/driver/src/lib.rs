//! driver

pub mod cc;
pub mod link;
pub mod sysroot;

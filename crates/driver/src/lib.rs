//! driver

pub mod sysroot;

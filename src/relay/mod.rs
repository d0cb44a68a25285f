//! Moving bytes between a client and an application, whole and in order, with bounded memory.

pub mod buffer;
pub mod pump;

//! Moving bytes between two peers, whole and in order, with bounded memory.

pub mod buffer;
pub mod crowd;
pub mod forward;
pub mod handshake;
pub mod pipes;
pub mod plain;
pub mod pump;
mod readiness;
pub mod wheel;

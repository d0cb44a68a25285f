//! The TLS-unwrapping proxy: many connections per worker, decrypted bytes to a backend.
#![forbid(unsafe_code)]

pub mod config;
pub mod options;
mod settings_file;

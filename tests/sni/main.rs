//! Key sets chosen by the name that a client asks for (CERTDIR).
#![forbid(unsafe_code)]

#[path = "../common/mod.rs"]
mod common;
mod damage;
mod death;
mod names;
mod resumption;
mod sets;

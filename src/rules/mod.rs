//! Access rules: the language administrators write, the keys it becomes, and
//! the look-up of a client in a compiled rules file. Shared by sslserver and
//! the tcprules programs.

#![forbid(unsafe_code)]

mod address;
pub mod cdb;
pub(crate) mod file;
pub mod key;
pub mod language;
pub mod lookup;

pub use cdb::Damage;
pub use file::{MAX_FILE, RulesError, RulesFile};

use std::net::IpAddr;

/// What is known of a client when its rule is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    pub ip: IpAddr,
    /// The name found for the address, in lower case.
    pub host: Option<&'a [u8]>,
    /// What the client's IDENT service said.
    pub info: Option<&'a [u8]>,
}

/// What the rules say of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The key of the rule as it is stored; `None` if no rule matched at all.
    pub matched: Option<Vec<u8>>,
    pub deny: bool,
    /// Names and values to set, in the order of the rule.
    pub variables: Vec<(Vec<u8>, Vec<u8>)>,
}

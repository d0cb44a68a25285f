//! The roles whose place can be taken, and taking it.
#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;

use crate::privsep::role::{self, Confinement};
use crate::privsep::sandbox;
use crate::sys::process;

/// Whose place is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It gives nothing up, which shows that the attempts are such that can succeed.
    Listener,
    Keeper,
    Terminator,
    Session,
    Shared,
    Lookup,
    /// stud's, as what follows.
    Safe,
    Signer,
    Worker,
    /// With a server.
    Store,
    Resolver,
}

/// The words for them.
pub const WORDS: [(&str, Role); 11] = [
    ("listener", Role::Listener),
    ("keeper", Role::Keeper),
    ("terminator", Role::Terminator),
    ("session", Role::Session),
    ("shared", Role::Shared),
    ("lookup", Role::Lookup),
    ("stud-keeper", Role::Safe),
    ("signer", Role::Signer),
    ("worker", Role::Worker),
    ("store", Role::Store),
    ("resolver", Role::Resolver),
];

/// A role's place.
pub struct Place<'a> {
    pub role: Role,
    pub confinement: &'a Confinement,
    /// The TCP port that it connects to, if it is for any.
    pub served: u16,
}

impl Place<'_> {
    /// Becomes the role, or not, and goes on with these descriptors.
    pub fn take(
        &self,
        ends: Vec<OwnedFd>,
        body: impl FnOnce(Vec<OwnedFd>, Result<(), String>) -> u8,
    ) -> u8 {
        let is_forked_again = matches!(self.role, Role::Session | Role::Signer);
        let entered = self.enter();
        if !is_forked_again || entered.is_err() {
            return body(ends, entered);
        }
        let forked = process::fork_role(ends, |ends| {
            if self.role == Role::Session {
                role::take_up_session();
            }
            sandbox::confine_child();
            body(ends, Ok(()))
        });
        // What it could not fork does not report.
        let _ = forked.map(process::wait_for);
        0
    }

    /// Gives up what the role does that the listener forks: of a session it is the terminator.
    fn enter(&self) -> Result<(), String> {
        let mut confinement = self.confinement.clone();
        match self.role {
            Role::Listener => return Ok(()),
            Role::Resolver => confinement.root = None,
            _ => {}
        }
        role::take_up(c"ssl-attempts");
        role::confine(&confinement).map_err(|error| error.to_string())?;
        let ports = [self.served];
        match self.role {
            Role::Keeper => sandbox::confine_keeper(),
            Role::Shared => sandbox::confine_shared(),
            Role::Lookup => sandbox::confine_lookup(&ports, 64),
            Role::Safe | Role::Signer => sandbox::confine_safe(),
            Role::Worker => sandbox::confine_worker(&ports, false),
            Role::Store => sandbox::confine_store(&[libc::AF_INET, libc::AF_INET6], &ports),
            Role::Resolver => sandbox::confine_resolver(),
            Role::Terminator | Role::Session => sandbox::confine_terminator(),
            Role::Listener => Ok(()),
        }
    }
}

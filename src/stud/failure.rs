//! Why the proxy cannot start, or cannot take up a new configuration: a line for the log.
#![forbid(unsafe_code)]

use std::fmt;
use std::net::SocketAddr;

use crate::net::listen::ListenError;

#[derive(Debug)]
pub struct Failure(pub String);

impl Failure {
    pub fn listen(address: SocketAddr, error: &ListenError) -> Failure {
        Failure(match error {
            ListenError::Create(errno) => format!("unable to create socket: {}", errno.desc()),
            ListenError::Bind(errno) => format!("unable to bind to {address}: {}", errno.desc()),
            ListenError::Listen(errno) => {
                format!("unable to listen on {address}: {}", errno.desc())
            }
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

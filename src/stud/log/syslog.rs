//! Lines to the system's log, each a datagram (RFC 3164, as syslog(3) sends them). Never waits: a log that is slow or
//! gone loses lines.
#![forbid(unsafe_code)]

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

use crate::stud::config::Facility;
use crate::sys::clock::LocalTime;
use crate::sys::socket::is_temporary;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Of the priorities of syslog(3) those that we use.
#[derive(Clone, Copy)]
pub enum Priority {
    Error = 3,
    Information = 6,
}

pub struct Syslog {
    path: PathBuf,
    facility: Facility,
    program: &'static str,
    /// Opened when there is something to say.
    socket: Option<UnixDatagram>,
}

impl Syslog {
    pub fn new(path: &Path, facility: Facility, program: &'static str) -> Syslog {
        Syslog {
            path: path.to_owned(),
            facility,
            program,
            socket: None,
        }
    }

    pub fn send(
        &mut self,
        priority: Priority,
        time: LocalTime,
        pid: Pid,
        text: &str,
    ) -> io::Result<()> {
        let priority = self.facility.0 | priority as u8;
        let month = usize::try_from(time.month - 1)
            .ok()
            .and_then(|place| MONTHS.get(place));
        let datagram = format!(
            "<{priority}>{} {:>2} {:02}:{:02}:{:02} {}[{pid}]: {text}",
            month.unwrap_or(&"Jan"),
            time.day,
            time.hour,
            time.minute,
            time.second,
            self.program,
        );
        match self.transmit(datagram.as_bytes()) {
            Err(error) if !is_temporary(&error) => {
                // The log may have been started again, behind a new socket of the same name.
                self.socket = None;
                self.transmit(datagram.as_bytes())
            }
            other => other,
        }
    }

    fn transmit(&mut self, datagram: &[u8]) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => self.connect()?,
        };
        let outcome = socket.send(datagram).map(drop);
        self.socket = Some(socket);
        outcome
    }

    fn connect(&self) -> io::Result<UnixDatagram> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect(&self.path)?;
        Ok(socket)
    }
}

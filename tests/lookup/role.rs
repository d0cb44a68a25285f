//! The lookup process, and the listener's end of its channel.
#![forbid(unsafe_code)]

use crate::common::{LIMIT, Process, RoleProcess};
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Gid, Uid};
use sslserver::privsep::lookup::{self, Orders};
use sslserver::privsep::message::lookup::{Answer, Wanted};
use sslserver::privsep::message::{FromLookup, ListenerToLookup, LookupToListener, ToLookup};
use sslserver::privsep::role::Confinement;
use sslserver::sys::identity::Identity;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

pub const ARGUMENT: &str = "--be-the-lookup-process";

pub const NAME: Wanted = Wanted {
    remote_name: true,
    paranoid: false,
    remote_info: false,
    local_name: false,
    proxy_header: false,
};
pub const CHECKED: Wanted = Wanted {
    paranoid: true,
    ..NAME
};
pub const INFO: Wanted = Wanted {
    remote_name: false,
    remote_info: true,
    ..NAME
};
pub const HEADER: Wanted = Wanted {
    remote_name: false,
    proxy_header: true,
    ..NAME
};

/// What the process is started with.
pub struct Setup {
    pub servers: Vec<SocketAddr>,
    pub patience: Duration,
    pub header_patience: Duration,
    pub limit: usize,
    pub ident_port: u16,
    pub root: Option<PathBuf>,
    pub ids: (u32, u32),
    /// The limit of open files; 0: as it is.
    pub open_files: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            // Nobody is there.
            servers: vec![SocketAddr::from(([127, 0, 0, 1], 9))],
            patience: LIMIT,
            header_patience: LIMIT,
            limit: 1000,
            ident_port: 9,
            root: None,
            ids: (Uid::effective().as_raw(), Gid::effective().as_raw()),
            open_files: 0,
        }
    }
}

impl Setup {
    pub fn asking(servers: &[SocketAddr]) -> Setup {
        Setup {
            servers: servers.to_vec(),
            ..Setup::default()
        }
    }

    pub fn patience(mut self, milliseconds: u64) -> Setup {
        self.patience = Duration::from_millis(milliseconds);
        self
    }

    fn words(&self) -> Vec<String> {
        let servers: Vec<String> = self.servers.iter().map(ToString::to_string).collect();
        let root = self.root.as_ref().map(|root| root.display().to_string());
        vec![
            ARGUMENT.into(),
            servers.join(","),
            self.patience.as_millis().to_string(),
            self.header_patience.as_millis().to_string(),
            self.limit.to_string(),
            self.ident_port.to_string(),
            root.unwrap_or_default(),
            self.ids.0.to_string(),
            self.ids.1.to_string(),
            self.open_files.to_string(),
        ]
    }

    /// Starts the process and waits until it is ready.
    pub fn start(self) -> Role {
        let (channel, end) = ListenerToLookup::pair().expect("a channel");
        let role = Role {
            process: RoleProcess::start(&self.words(), end.into_end()),
            channel: Some(channel),
        };
        assert_eq!(role.receive(), FromLookup::Ready);
        role
    }
}

/// What the child does: takes the orders and the channel, which is its descriptor 0, and is the role.
pub fn be(words: &[String]) -> u8 {
    let number = |index: usize| words[index].parse::<u32>().expect("a number");
    let time = |index: usize| Duration::from_millis(number(index).into());
    let servers = words[0].split(',').filter(|word| !word.is_empty());
    let orders = Orders {
        confinement: Confinement {
            root: Some(PathBuf::from(&words[5])).filter(|_| !words[5].is_empty()),
            identity: Identity {
                uid: Uid::from_raw(number(6)),
                gid: Gid::from_raw(number(7)),
            },
        },
        servers: servers
            .map(|word| word.parse().expect("an address"))
            .collect(),
        patience: time(1),
        header_patience: time(2),
        limit: number(3) as usize,
        ident_port: number(4) as u16,
    };
    if let open_files @ 1.. = number(8) {
        let limit = open_files.into();
        setrlimit(Resource::RLIMIT_NOFILE, limit, limit).expect("a lower limit");
    }
    let channel = std::io::stdin().as_fd().try_clone_to_owned();
    lookup::run(
        &orders,
        LookupToListener::from_end(channel.expect("a channel")),
    )
}

pub struct Role {
    process: RoleProcess,
    /// `None`: closed by the test.
    channel: Option<ListenerToLookup>,
}

/// A question about a client at this address that called 127.0.0.1.
pub fn about(number: u64, wanted: Wanted, ip: &str) -> ToLookup {
    let ip: IpAddr = ip.parse().expect("an address");
    ToLookup {
        number,
        wanted,
        local: SocketAddr::from(([127, 0, 0, 1], 443)),
        remote: SocketAddr::new(ip, 52100),
    }
}

impl Role {
    pub fn channel(&self) -> &ListenerToLookup {
        self.channel.as_ref().expect("still open")
    }

    pub fn receive(&self) -> FromLookup {
        self.channel().receive_within(LIMIT).expect("a message").0
    }

    pub fn send(&self, question: ToLookup, client: Option<BorrowedFd<'_>>) {
        let sent = self.channel().send(&question, client.as_slice());
        sent.expect("the role lives");
    }

    /// The next answer, whatever it answers.
    pub fn answer(&self) -> (u64, Answer) {
        match self.receive() {
            FromLookup::Answer { number, answer } => (number, answer),
            other => panic!("{other:?}"),
        }
    }

    pub fn ask(&self, question: ToLookup) -> Answer {
        self.send(question, None);
        let (number, answer) = self.answer();
        assert_eq!(number, question.number);
        answer
    }

    pub fn name(&self, wanted: Wanted, ip: &str) -> Option<String> {
        self.ask(about(1, wanted, ip)).remote_name
    }

    /// Sends all questions, then waits for all answers.
    pub fn ask_all(&self, questions: &[ToLookup]) -> HashMap<u64, Answer> {
        for &question in questions {
            self.send(question, None);
        }
        let answers: HashMap<u64, Answer> = questions.iter().map(|_| self.answer()).collect();
        assert_eq!(answers.len(), questions.len(), "a number came twice");
        answers
    }

    /// Asks with a client's socket. The client's end is the test's.
    pub fn ask_with(&self, question: ToLookup, client: &OwnedFd) -> Answer {
        self.send(question, Some(client.as_fd()));
        self.answer().1
    }

    pub fn process(&self) -> Process {
        self.process.process()
    }

    /// Closes the channel and waits for the end.
    pub fn end(&mut self) -> Option<i32> {
        self.channel = None;
        self.process.wait()
    }
}

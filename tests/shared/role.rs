//! The process, the listener's end of its channel, and connections whose application is the test's.
#![forbid(unsafe_code)]

use crate::common::keys::leaf;
use crate::common::{Dial, Kind, LIMIT, Process, RoleProcess};
use crate::keeper::{Keeper, first, publish};
pub use crate::side::Side;
use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Gid, Uid, pipe2};
use sslserver::privsep::message::{
    ConnectionOrder, Ending, Facts, FromTerminator, KeeperToTerminator, ListenerToTerminator,
    PublicPart, SessionReport, TerminatorToKeeper, TerminatorToListener, ToTerminator,
    WorkerToSigner,
};
use sslserver::privsep::role::Confinement;
use sslserver::privsep::session::SessionSettings;
use sslserver::privsep::shared::{self, Ends};
use sslserver::privsep::terminator::Orders;
use sslserver::sys::identity::Identity;
use sslserver::sys::message;
use sslserver::tls::client::Demand;
use sslserver::tls::settings::Settings;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

pub const ARGUMENT: &str = "--be-a-process-that-shares";

/// What the process is started with.
pub struct Setup {
    keeper: Option<Keeper>,
    parts: Option<Vec<PublicPart>>,
    pub demand: Demand,
    /// The application wants `SSL_*`.
    pub environment: bool,
    /// Milliseconds.
    pub idle: u64,
    /// For a handshake that an application asks for.
    pub handshake: u64,
    /// The limit of open files; 0: as it is.
    pub open_files: u64,
}

impl Setup {
    pub fn new() -> Setup {
        Setup {
            keeper: None,
            parts: None,
            demand: Demand::Nothing,
            environment: false,
            idle: 600_000,
            handshake: 20_000,
            open_files: 0,
        }
    }

    pub fn keeper(self, keeper: &Keeper) -> Setup {
        Setup {
            keeper: Some(keeper.clone()),
            ..self
        }
    }

    /// What is known of the first set.
    pub fn parts(self, parts: Vec<PublicPart>) -> Setup {
        Setup {
            parts: Some(parts),
            ..self
        }
    }

    pub fn start(self) -> Role {
        // Made before there is a child that could inherit what it takes to make it.
        leaf(Kind::P256);
        let (listener, listeners_end) = ListenerToTerminator::pair().expect("a channel");
        let (keeper, keepers_end) = KeeperToTerminator::pair().expect("a channel");
        let (worker, signer) = WorkerToSigner::pair().expect("a channel");
        let (way, ways_end) = message::pair().expect("a channel");
        let ends = [listeners_end.as_fd(), keepers_end.as_fd(), worker.as_fd()];
        message::send(way.as_fd(), b"ends", &ends, true).expect("sent");
        let words = [
            ARGUMENT.into(),
            (self.demand as u64).to_string(),
            u64::from(self.environment).to_string(),
            self.idle.to_string(),
            self.handshake.to_string(),
            self.open_files.to_string(),
        ];
        let process = RoleProcess::start(&words, ways_end);
        let secrets = self.keeper.unwrap_or_else(Keeper::new);
        secrets.serve(signer);
        publish(&keeper, 0, self.parts.unwrap_or_else(|| vec![first()]));
        let role = Role {
            process,
            listener: Some(listener),
            keeper: Some(keeper),
            secrets,
            heard: RefCell::default(),
            spells: RefCell::default(),
            door: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket"),
            next: RefCell::new(1),
        };
        match role.hear() {
            FromTerminator::Ready => role,
            FromTerminator::Fatal(text) => panic!("{text}"),
            _ => panic!("something else first"),
        }
    }
}

/// What the child does: takes the orders and the channels, and is the role.
pub fn be(words: &[String]) -> u8 {
    let number = |index: usize| words[index].parse::<u64>().expect("a number");
    if let open_files @ 1.. = number(4) {
        setrlimit(Resource::RLIMIT_NOFILE, open_files, open_files).expect("a lower limit");
    }
    let orders = Orders {
        confinement: Confinement {
            root: None,
            identity: Identity {
                uid: Uid::effective(),
                gid: Gid::effective(),
            },
        },
        tls: Settings::from_environment(|_| None).expect("defaults"),
        session: SessionSettings {
            idle: Duration::from_millis(number(2)),
            environment: number(1) != 0,
            handshake: Duration::from_millis(number(3)),
        },
        demand: Demand::from_byte(number(0) as u8).expect("a demand"),
        wants_variables: true,
    };
    let way = std::io::stdin().as_fd().try_clone_to_owned();
    let received = message::receive(way.expect("a channel").as_fd(), &mut [0; 16], true);
    let mut ends = received.expect("descriptors").descriptors.into_iter();
    let mut next = || ends.next().expect("a descriptor");
    let ends = Ends {
        listener: TerminatorToListener::from_end(next()),
        keeper: TerminatorToKeeper::from_end(next()),
        signer: WorkerToSigner::from_end(next()),
    };
    shared::run(&orders, ends)
}

pub struct Role {
    process: RoleProcess,
    /// `None`: closed by the test.
    listener: Option<ListenerToTerminator>,
    keeper: Option<KeeperToTerminator>,
    pub secrets: Keeper,
    /// Reports that nobody has asked for yet.
    heard: RefCell<VecDeque<(u64, SessionReport)>>,
    spells: RefCell<Vec<String>>,
    door: TcpListener,
    next: RefCell<u64>,
}

impl Role {
    pub fn listener(&self) -> &ListenerToTerminator {
        self.listener.as_ref().expect("still open")
    }

    pub fn process(&self) -> Process {
        self.process.process()
    }

    /// The next message.
    pub fn hear(&self) -> FromTerminator {
        self.listener().receive_within(LIMIT).expect("a message").0
    }

    /// The next report, and whose it is. What else is said meanwhile is kept.
    pub fn report(&self) -> (u64, SessionReport) {
        let heard = self.heard.borrow_mut().pop_front();
        heard.unwrap_or_else(|| self.next_report())
    }

    fn next_report(&self) -> (u64, SessionReport) {
        loop {
            match self.hear() {
                FromTerminator::Report { number, report } => return (number, *report),
                FromTerminator::Short(text) => self.spells.borrow_mut().push(text),
                FromTerminator::Recovered => self.spells.borrow_mut().push("recovered".into()),
                FromTerminator::Fatal(text) => panic!("{text}"),
                FromTerminator::Ready => panic!("it is ready twice"),
            }
        }
    }

    /// The next report of this connection; others' are kept.
    pub fn report_of(&self, side: &Side) -> SessionReport {
        let is_its = |(number, _): &(u64, SessionReport)| *number == side.number;
        let known = self.heard.borrow().iter().position(is_its);
        if let Some((_, report)) = known.and_then(|at| self.heard.borrow_mut().remove(at)) {
            return report;
        }
        loop {
            let next = self.next_report();
            if is_its(&next) {
                return next.1;
            }
            self.heard.borrow_mut().push_back(next);
        }
    }

    /// What it has said of being short of something.
    pub fn spells(&self) -> Vec<String> {
        self.spells.borrow().clone()
    }

    pub fn established(&self, side: &Side) -> (Facts, Vec<u8>) {
        match self.report_of(side) {
            SessionReport::Established { facts, environment } => (facts, environment),
            SessionReport::Failed { reason, .. } | SessionReport::Refused { reason } => {
                panic!("{reason}")
            }
            SessionReport::Finished { ending, .. } => panic!("{ending:?}"),
        }
    }

    /// Bytes from the client, bytes from the application, and how it ended.
    pub fn finished(&self, side: &Side) -> (u64, u64, Ending) {
        match self.report_of(side) {
            SessionReport::Finished {
                received,
                sent,
                ending,
            } => (received, sent, ending),
            SessionReport::Failed { reason, .. } => panic!("{reason}"),
            _ => panic!("it goes on"),
        }
    }

    pub fn ending(&self, side: &Side) -> Ending {
        self.finished(side).2
    }

    /// Why there was no TLS.
    pub fn failure(&self, side: &Side) -> String {
        match self.report_of(side) {
            SessionReport::Failed { pid, reason } => {
                assert_eq!(pid, self.process().pid.cast_unsigned());
                reason
            }
            _ => panic!("it succeeded"),
        }
    }

    /// There is nothing to be heard now.
    pub fn assert_says_nothing(&self) {
        assert!(self.heard.borrow().is_empty());
        assert!(self.listener().try_receive().expect("it lives").is_none());
    }

    /// Has it learn a set.
    pub fn learn(&self, number: u32, parts: Vec<PublicPart>) {
        publish(self.keeper.as_ref().expect("still open"), number, parts);
        let order = ToTerminator::Set {
            number,
            settings: Settings::from_environment(|_| None).expect("defaults"),
            demand: Demand::Nothing,
            scope: String::new(),
        };
        self.listener().send(&order, &[]).expect("it lives");
    }

    pub fn drain(&self) {
        let sent = self.listener().send(&ToTerminator::Drain, &[]);
        sent.expect("it lives");
    }

    /// The listener goes.
    pub fn leave(&mut self) {
        self.listener = None;
    }

    /// The keeper of public parts goes.
    pub fn lose_keeper(&mut self) {
        self.keeper = None;
    }

    /// Where clients come in that are programs of their own; [`Role::accept`] must follow.
    pub fn address(&self) -> SocketAddr {
        self.door.local_addr().expect("bound")
    }

    pub fn accept(&self) -> Side {
        let (stream, _) = self.door.accept().expect("a client");
        self.hand_over(stream, None, &Wishes::default())
    }

    pub fn connect(&self) -> Side {
        self.connect_as(&Wishes::default())
    }

    /// With this set of keys.
    pub fn connect_with(&self, set: u32) -> Side {
        self.connect_as(&Wishes {
            set,
            ..Wishes::default()
        })
    }

    /// Beginning in plain text.
    pub fn connect_plain(&self) -> Side {
        self.connect_as(&Wishes {
            is_delayed: true,
            ..Wishes::default()
        })
    }

    pub fn connect_as(&self, wishes: &Wishes) -> Side {
        let client = Dial::to(self.address()).tcp();
        let (stream, _) = self.door.accept().expect("a client");
        self.hand_over(stream, Some(client), wishes)
    }

    /// What the listener does: pipes for the application, and all that goes with the connection.
    fn hand_over(&self, stream: TcpStream, client: Option<TcpStream>, wishes: &Wishes) -> Side {
        let pipe = || pipe2(OFlag::O_CLOEXEC).expect("a pipe");
        let ((stdin, input), (output, stdout)) = (pipe(), pipe());
        let control = wishes
            .is_delayed
            .then(|| UnixStream::pair().expect("a pair"));
        let (control, end) = control.unzip();
        let number = self.next.replace_with(|next| *next + 1);
        let order = ToTerminator::Connection(ConnectionOrder {
            number,
            set: wishes.set,
            patience: wishes.patience,
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            host: wishes.host.map(str::to_owned),
        });
        let mut ends: Vec<BorrowedFd<'_>> = vec![stream.as_fd(), input.as_fd(), output.as_fd()];
        ends.extend(end.as_ref().map(AsFd::as_fd));
        self.listener().send(&order, &ends).expect("it lives");
        Side {
            number,
            client,
            input: Some(stdin.into()),
            output: Some(stdout.into()),
            socket: wishes.is_delayed.then_some(stream),
            control,
        }
    }

    /// A connection that nothing comes with.
    pub fn announce(&self, number: u64) {
        let order = ToTerminator::Connection(ConnectionOrder {
            number,
            set: 0,
            patience: 20_000,
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            host: None,
        });
        self.listener().send(&order, &[]).expect("it lives");
    }

    /// Waits for the end of the process, and answers with its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        self.process.wait()
    }
}

/// What a connection is to be like.
pub struct Wishes {
    pub set: u32,
    /// Milliseconds for the handshake.
    pub patience: u32,
    pub host: Option<&'static str>,
    pub is_delayed: bool,
}

impl Default for Wishes {
    fn default() -> Wishes {
        Wishes {
            set: 0,
            patience: 20_000,
            host: None,
            is_delayed: false,
        }
    }
}

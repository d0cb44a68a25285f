use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags};
use nix::unistd::pipe;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream, SslVerifyMode};

use super::event_loop::{Given, Shared};
use crate::privsep::channel::ChannelError;
use crate::privsep::message::{
    ConnectionOrder, Ending, FromTerminator, ListenerToTerminator, SessionReport,
    TerminatorToKeeper, ToTerminator,
};
use crate::privsep::role::Confinement;
use crate::privsep::session::{Service, SessionSettings};
use crate::privsep::terminator::{Orders, Tutor};
use crate::relay::crowd::Token;
use crate::sys::identity::Identity;
use crate::tls::client::Demand;
use crate::tls::rig;

const LIMIT: Duration = Duration::from_secs(20);

fn orders() -> Orders {
    Orders {
        confinement: Confinement {
            root: None,
            identity: Identity::current(),
        },
        tls: rig::settings(),
        session: SessionSettings {
            idle: LIMIT,
            environment: false,
            handshake: LIMIT,
        },
        demand: Demand::Nothing,
        wants_variables: false,
    }
}

fn shared(orders: &Orders) -> (Shared<'_>, ListenerToTerminator) {
    let made = rig::make("localhost");
    let mut context = SslContext::builder(SslMethod::tls_server()).unwrap();
    context.set_certificate(&made.certificate).unwrap();
    context.set_private_key(&made.key).unwrap();
    let (listener, end) = ListenerToTerminator::pair().unwrap();
    let given = Given {
        orders,
        listener: end,
        keeper: Tutor::new(TerminatorToKeeper::pair().unwrap().0),
        epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap(),
        service: Service {
            context: context.build(),
            certificates: Vec::new(),
            settings: orders.session.clone(),
            demand: Demand::Nothing,
        },
        open_files: 1000,
    };
    (Shared::new(given).unwrap(), listener)
}

/// Hands over a connection: its token, its client, and the application's ends.
fn connect(shared: &mut Shared<'_>, number: u64) -> (Token, UnixStream, [OwnedFd; 2]) {
    let (client, end) = UnixStream::pair().unwrap();
    let ((stdin, input), (output, stdout)) = (pipe().unwrap(), pipe().unwrap());
    let order = ConnectionOrder {
        number,
        set: 0,
        patience: 20_000,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        host: None,
    };
    shared.welcome(order, vec![end.into(), input, output]);
    client.set_read_timeout(Some(LIMIT)).unwrap();
    let tokens = shared.connections.tokens();
    (*tokens.last().unwrap(), client, [stdin, stdout])
}

fn heard(listener: &ListenerToTerminator) -> (u64, SessionReport) {
    match listener.receive_within(LIMIT).unwrap().0 {
        FromTerminator::Report { number, report } => (number, *report),
        _ => panic!("no report"),
    }
}

/// Shakes hands, says a word and closes; the application has to close as well.
fn visit(client: UnixStream) {
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    context.set_verify(SslVerifyMode::NONE);
    let ssl = Ssl::new(&context.build()).unwrap();
    let mut tls = SslStream::new(ssl, client).unwrap();
    tls.connect().unwrap();
    tls.write_all(b"word").unwrap();
    tls.shutdown().unwrap();
    assert_eq!(tls.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn a_panic_costs_its_connection_and_no_other() {
    let orders = orders();
    let (mut shared, listener) = shared(&orders);
    let (good, client, [stdin, stdout]) = connect(&mut shared, 7);
    let (bad, mut broken, _application) = connect(&mut shared, 8);
    shared.guarded(bad, |shared| {
        // In the middle of a read.
        shared.scratch.wire = Vec::new();
        panic!("what nobody thought of");
    });
    let (number, report) = heard(&listener);
    let SessionReport::Failed { reason, .. } = report else {
        panic!("it is served");
    };
    assert_eq!(
        (number, &*reason),
        (8, "internal error: what nobody thought of")
    );
    assert_eq!(broken.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(shared.connections.tokens(), [good]);

    listener.send(&ToTerminator::Drain, &[]).unwrap();
    drop(stdout);
    let visitor = std::thread::spawn(|| visit(client));
    assert_eq!(shared.run(), 0);
    visitor.join().unwrap();
    let mut word = [0; 8];
    assert_eq!(nix::unistd::read(&stdin, &mut word).unwrap(), 4);
    assert!(matches!(
        heard(&listener),
        (7, SessionReport::Established { .. })
    ));
    let (_, report) = heard(&listener);
    let SessionReport::Finished { ending, .. } = report else {
        panic!("no end");
    };
    assert_eq!(ending, Ending::Complete);
}

#[test]
fn a_panic_after_the_handshake_is_told_as_the_end_and_after_the_end_not_at_all() {
    let orders = orders();
    let (mut shared, listener) = shared(&orders);
    for (number, is_established, is_over) in [(1, true, false), (2, false, true)] {
        let (token, _client, _application) = connect(&mut shared, number);
        let connection = shared.connections.get_mut(token).unwrap();
        (connection.is_established, connection.is_over) = (is_established, is_over);
        shared.guarded(token, |_| panic!("{}", "words made of pieces"));
    }
    let (number, report) = heard(&listener);
    let SessionReport::Finished { ending, .. } = report else {
        panic!("no end");
    };
    let told = Ending::Broken("internal error: words made of pieces".into());
    assert_eq!((number, ending), (1, told));
    assert!(shared.connections.is_empty());
    assert!(matches!(listener.try_receive(), Ok(None)));
    drop(shared);
    assert!(matches!(listener.try_receive(), Err(ChannelError::Closed)));
}

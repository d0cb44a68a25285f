//! Sessions in a Redis server. It may be away, slow, or somebody else's: no question waits longer than a moment for
//! it, a connection that failed once is given up, and a new one is made in the background.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::resource::{Resource, setrlimit};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, RedisConnectionInfo, RedisError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{Instant, sleep, timeout};

use super::address::{Address, Place};
use super::resolve;
use crate::privsep::line::Line;
use crate::privsep::message::{NewWorker, StoreReport};
use crate::privsep::role::Confinement;
use crate::sys::words;
use crate::tls::sessions::{MAX_SEALED, SessionId};

/// For a question or a session that is to be kept: a client waits in its handshake.
const PATIENCE: Duration = Duration::from_millis(250);
/// For a connection to one address, greeting and trial included.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);
/// Sessions on their way to the server; one more is not kept.
const MOST_WRITES: usize = 1024;
/// Pauses between attempts to connect double from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// What a server that talks without end may cost this process before it dies of it, in bytes.
const MOST_MEMORY: u64 = 256 << 20;

const PREFIX: &str = "sslserver:session:";

pub struct Server {
    name: String,
    targets: Vec<Target>,
    login: RedisConnectionInfo,
    /// `None`: there is no connection.
    link: RefCell<Option<Rc<Link>>>,
    /// Every session on its way holds one.
    writes: Rc<()>,
}

#[derive(Clone)]
enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A connection.
struct Link {
    connection: MultiplexedConnection,
    fault: Rc<Fault>,
    driver: AbortHandle,
}

/// Why a connection is of no more use. The first to find out is heard.
#[derive(Default)]
struct Fault {
    reason: RefCell<Option<String>>,
    found: Notify,
}

impl Fault {
    fn tell(&self, reason: String) {
        self.reason.borrow_mut().get_or_insert(reason);
        self.found.notify_one();
    }

    async fn wait(&self) -> String {
        self.found.notified().await;
        self.reason.take().unwrap_or_default()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // It may wait for a server that takes nothing more.
        self.driver.abort();
    }
}

impl Server {
    /// Looks the server's name up, as whoever the process is going to be.
    pub fn prepare(address: &Address, confinement: &Confinement) -> Result<Server, String> {
        let targets = match &address.place {
            Place::Internet(host, port) => resolve::resolve(host, *port, confinement)?
                .into_iter()
                .map(Target::Tcp)
                .collect(),
            Place::Path(path) => vec![Target::Unix(path.clone())],
        };
        setrlimit(Resource::RLIMIT_DATA, MOST_MEMORY, MOST_MEMORY)
            .map_err(|errno| errno.desc().to_owned())?;
        Ok(Server {
            name: address.to_string(),
            targets,
            login: address.login.clone(),
            link: RefCell::new(None),
            writes: Rc::new(()),
        })
    }

    /// Connects, and connects again whenever that is lost. Says when it goes down and when it is back.
    pub async fn stay_connected(self: Rc<Self>, parent: Rc<Line<StoreReport, NewWorker>>) {
        let (mut down, mut pause) = (false, FIRST_PAUSE);
        loop {
            let reason = match self.connect().await {
                Ok(link) => {
                    let since = Instant::now();
                    let fault = link.fault.clone();
                    *self.link.borrow_mut() = Some(Rc::new(link));
                    if down {
                        down = false;
                        parent.send(&StoreReport::Up).await;
                    }
                    let reason = fault.wait().await;
                    *self.link.borrow_mut() = None;
                    if since.elapsed() > LONGEST_PAUSE {
                        pause = FIRST_PAUSE;
                    }
                    reason
                }
                Err(reason) => reason,
            };
            if !down {
                down = true;
                let text = format!("{}: {reason}", self.name);
                parent.send(&StoreReport::Down(text)).await;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A connection to the first address that works; the reason of the last otherwise.
    async fn connect(&self) -> Result<Link, String> {
        let mut last = String::new();
        for target in &self.targets {
            match timeout(CONNECT_PATIENCE, self.open(target)).await {
                Ok(Ok(link)) => return Ok(link),
                Ok(Err(reason)) => last = reason,
                Err(_) => last = "timed out".into(),
            }
        }
        Err(last)
    }

    async fn open(&self, target: &Target) -> Result<Link, String> {
        match target {
            Target::Tcp(address) => {
                let stream = TcpStream::connect(address).await;
                let stream = stream.map_err(|error| words::reason(&error))?;
                // A question is one small segment, and a client waits for the answer.
                let _ = stream.set_nodelay(true);
                self.greet(stream).await
            }
            Target::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                let stream = stream.map_err(|error| words::reason(&error))?;
                self.greet(stream).await
            }
        }
        .map_err(explain)
    }

    /// Logs in, and tries everything that will be asked of the server: what it must not do, or cannot, is known
    /// before it counts as there.
    async fn greet(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Link, RedisError> {
        // All time limits are ours.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&self.login, stream, config).await?;
        let fault = Rc::new(Fault::default());
        let ended = fault.clone();
        let driver = spawn_local(async move {
            driver.await;
            ended.tell("the server closed the connection".into());
        });
        let link = Link {
            connection,
            fault,
            driver: driver.abort_handle(),
        };
        link.ask::<()>(&setting("trial", 1, b"trial")).await?;
        link.ask::<Option<Vec<u8>>>(&getting("trial", false))
            .await?;
        link.ask::<Option<Vec<u8>>>(&getting("trial", true)).await?;
        Ok(link)
    }

    pub async fn get(&self, id: &SessionId, once: bool) -> Option<Vec<u8>> {
        let link = self.link.borrow().clone()?;
        let sealed: Option<Vec<u8>> = link.ask_in_time(&getting(&hex(id), once)).await?;
        sealed.filter(|sealed| sealed.len() <= MAX_SEALED)
    }

    /// `lifetime` is in seconds, and not 0.
    pub fn put(self: Rc<Self>, id: SessionId, lifetime: u32, sealed: Vec<u8>) {
        let link = self.link.borrow().clone();
        let Some(link) = link.filter(|_| Rc::strong_count(&self.writes) <= MOST_WRITES) else {
            return;
        };
        let place = self.writes.clone();
        spawn_local(async move {
            // What was not kept is missed by nobody but its client.
            let _: Option<()> = link
                .ask_in_time(&setting(&hex(&id), lifetime, &sealed))
                .await;
            drop(place);
        });
    }
}

impl Link {
    async fn ask<T: FromRedisValue>(&self, question: &Cmd) -> Result<T, RedisError> {
        question.query_async(&mut self.connection.clone()).await
    }

    /// `None`, and the end of the connection, if there is no answer in time or a wrong one.
    async fn ask_in_time<T: FromRedisValue>(&self, question: &Cmd) -> Option<T> {
        match timeout(PATIENCE, self.ask(question)).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                self.fault.tell(explain(error));
                None
            }
            Err(_) => {
                let limit = PATIENCE.as_millis();
                self.fault.tell(format!("no answer within {limit} ms"));
                None
            }
        }
    }
}

fn setting(name: &str, lifetime: u32, sealed: &[u8]) -> Cmd {
    let mut question = redis::cmd("SETEX");
    question
        .arg(format!("{PREFIX}{name}"))
        .arg(lifetime)
        .arg(sealed);
    question
}

fn getting(name: &str, once: bool) -> Cmd {
    let mut question = redis::cmd(if once { "GETDEL" } else { "GET" });
    question.arg(format!("{PREFIX}{name}"));
    question
}

fn hex(id: &SessionId) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A server's words end up in the log: on one line, and not too many.
fn explain(error: RedisError) -> String {
    const MOST: usize = 200;
    let text = error.to_string();
    let harmless = |letter: char| if letter.is_control() { '?' } else { letter };
    text.chars().take(MOST).map(harmless).collect()
}

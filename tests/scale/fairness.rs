//! One connection that takes all it can get beside many that want little.
#![forbid(unsafe_code)]

use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::{LIMIT, Log, Running, Stud, eventually, say};
use crate::footprint::moved;
use crate::part::Part;
use crate::{backend, crowd, size};

crate::tests! {
    a_flood_in_each_direction_does_not_starve_a_thousand_small_connections
    floods_that_are_always_ahead_of_a_slow_worker_do_not_starve_small_connections
}

const SMALL: u64 = 1000;
/// Of a slow worker.
const FEW: u64 = 200;
const ROUNDS: u64 = 5;
/// What a connection moves in one turn at most, in bytes.
const BATCH: u64 = 256 * 1024;
/// Bytes each way after which a flood is under way.
const FLOOD: u64 = 50_000_000;

/// The floods do not end before the others have had all their answers: if it came to the worst they never would.
fn a_flood_in_each_direction_does_not_starve_a_thousand_small_connections() {
    let scene = Scene::new();
    let rounds = size::of(20, 200);
    let mut small = scene.crowd();
    small.ask(&format!("open {SMALL}"));
    let _floods = scene.floods();
    let before = moved(&scene.stud);
    let least = small.ask(&format!("echo {rounds}"))[0];
    let after = moved(&scene.stud);
    let (received, sent) = (after.0 - before.0, after.1 - before.1);
    say(&format!(
        "{SMALL} connections had {rounds} answers each while floods brought {} MB up and {} MB down; \
         when the first had its last, the last had {least}",
        received / 1_000_000,
        sent / 1_000_000
    ));
    let little = SMALL * rounds * 64;
    assert!(received > little && sent > little, "the floods went on");
    assert!(
        least * 2 >= rounds,
        "one had {least} answers when another had {rounds}"
    );
}

/// Each of the worker's calls takes so long that its peers have always filled and emptied the sockets before the next:
/// a worker that attended to one connection for as long as there is something to do would never come to the others.
fn floods_that_are_always_ahead_of_a_slow_worker_do_not_starve_small_connections() {
    let test = "floods_that_are_always_ahead_of_a_slow_worker_do_not_starve_small_connections";
    let scene = Scene::new();
    let mut small = scene.crowd();
    small.ask(&format!("open {FEW}"));
    let _floods = scene.floods();
    let Some(_brake) = Brake::on(test, &scene.stud) else {
        return;
    };
    let before = moved(&scene.stud);
    small.ask(&format!("echo {ROUNDS}"));
    let after = moved(&scene.stud);
    let batches = (after.0 - before.0 + after.1 - before.1) / BATCH;
    say(&format!(
        "{FEW} connections had {ROUNDS} answers each while floods moved {batches} batches"
    ));
    assert!(
        batches <= FEW * ROUNDS,
        "a turn for each turn of the others"
    );
}

/// A proxy with one worker, which has all connections.
struct Scene {
    stud: Running,
    _backend: Part,
}

impl Scene {
    fn new() -> Scene {
        let mut backend = Part::start(&[], &[backend::ROLE, "0"]);
        let port = backend.result()[0] as u16;
        let stud = Stud::to(([127, 0, 0, 1], port).into()).config("workers = 1");
        Scene {
            stud: stud.start(),
            _backend: backend,
        }
    }

    fn crowd(&self) -> Part {
        Part::start(&[], &[crowd::ROLE, &self.stud.address().to_string()])
    }

    /// Waits until they are under way.
    fn floods(&self) -> [Part; 2] {
        let [mut down, mut up] = [self.crowd(), self.crowd()];
        down.tell("flood down");
        up.tell("flood up");
        eventually("floods", || {
            let (received, sent) = moved(&self.stud);
            (received > FLOOD && sent > FLOOD).then_some(())
        });
        [down, up]
    }
}

/// Makes a process slow, call by call.
struct Brake(Child);

impl Brake {
    /// `None`, said, where it cannot be done.
    fn on(test: &str, stud: &Running) -> Option<Brake> {
        let mut workers = stud.processes();
        workers.retain(|process| process.name.ends_with("-worker"));
        let pid = workers[0].pid.to_string();
        let delay = "inject=sendto,recvfrom:delay_enter=1000";
        let brake = Command::new("strace")
            .args(["-p", &pid, "-e", "trace=sendto,recvfrom", "-e", delay])
            .args(["-o", "/dev/null"])
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut child) = brake else {
            say(&format!("{test}: skipped: needs strace"));
            return None;
        };
        let log = Log::collect(child.stderr.take().expect("piped"));
        let brake = Brake(child);
        let first = log.first(LIMIT).unwrap_or_default();
        if !first.ends_with("attached") {
            say(&format!("{test}: skipped: {first}"));
            return None;
        }
        Some(brake)
    }
}

impl Drop for Brake {
    fn drop(&mut self) {
        // It lets go of the process that it watches.
        let _ = kill(Pid::from_raw(self.0.id() as i32), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

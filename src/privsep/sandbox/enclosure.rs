//! Landlock, where the kernel has it: the files and ports that are within reach, whatever root directory and descriptors
//! a process has. A filter of system calls sees no path and no address; this does.
//!
//! It is a second wall. Without it, or with less of it than is asked for, everything works as before.
#![forbid(unsafe_code)]

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, NetPort, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreatedAttr, Scope,
};

/// The latest that this was tried with: files, TCP ports (Linux 6.7), signals and abstract sockets (6.12).
const LATEST: ABI = ABI::V6;

/// What stays within reach. Nobody writes or executes a file, listens at a TCP port of its choice, or signals processes
/// that were not forked by it afterwards.
#[derive(Default)]
pub struct Reach<'a> {
    /// Files beneath its root may be read.
    pub reads: bool,
    /// TCP ports of others.
    pub ports: Ports<'a>,
    /// Unix sockets whose names are not files.
    pub abstract_sockets: bool,
}

#[derive(Default)]
pub enum Ports<'a> {
    All,
    #[default]
    None,
    Some(&'a [u16]),
}

/// Puts everything else out of reach for good, of the calling thread and of what it starts.
pub fn enclose(reach: &Reach<'_>) -> Result<(), String> {
    enforce(reach).map_err(|error| format!("unable to use Landlock: {error}"))
}

fn enforce(reach: &Reach<'_>) -> Result<(), Box<dyn std::error::Error>> {
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(LATEST))?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::Signal)?;
    let rules = match reach.ports {
        Ports::All => rules,
        Ports::None | Ports::Some(_) => rules.handle_access(AccessNet::ConnectTcp)?,
    };
    let rules = match reach.abstract_sockets {
        true => rules,
        false => rules.scope(Scope::AbstractUnixSocket)?,
    };
    // A port of the kernel's choice.
    let mut rules = rules
        .create()?
        .add_rule(NetPort::new(0, AccessNet::BindTcp))?;
    if reach.reads {
        let reading = AccessFs::ReadFile | AccessFs::ReadDir;
        rules = rules.add_rule(PathBeneath::new(PathFd::new("/")?, reading))?;
    }
    if let Ports::Some(ports) = reach.ports {
        for &port in ports {
            rules = rules.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
        }
    }
    rules.restrict_self()?;
    Ok(())
}

/// What this kernel has not got of it.
pub fn lack() -> Option<&'static str> {
    let strict = || Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    if strict().handle_access(AccessFs::Execute).is_err() {
        return Some("no Landlock");
    }
    if strict().handle_access(AccessNet::ConnectTcp).is_err() {
        return Some("no Landlock for TCP ports and signals");
    }
    let scoped = strict().scope(Scope::Signal);
    scoped.is_err().then_some("no Landlock for signals")
}

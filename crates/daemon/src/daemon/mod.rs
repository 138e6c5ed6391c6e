//! maized: the process of a node that others speak to. It listens, watches the other members, and starts a shim for each program; when it ends, or is
//! killed, programs run on, and the next one finds them again.

mod join;
mod listener;
mod migrate;
mod peers;
mod programs;
mod report;
mod session;
mod settle;
mod usage;

use crate::directory::{Directory, write_private};
use crate::error::{NodeError, Result};
use crate::identity::{Identity, PublicKey};
use crate::members::{Member, Members};
use crate::message::{Heartbeat, NodeStatus, Report, State};
use crate::store::Store;
use crate::sync::lock;
use maize_abi::Isa;
use programs::Programs;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What the command line says about a daemon.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// The node's directory [default: /var/lib/maize for root, else ~/.local/share/maize]
    #[arg(long, value_name = "DIR", env = "MAIZE_NODE_DIR", value_hint = clap::ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
    /// Listen here instead of where the node's configuration says
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Give the node another name, for good
    #[arg(long)]
    pub name: Option<String>,
    /// Offer only these ISAs [default: the machine's own, and those with an emulator]
    #[arg(long, value_name = "ISA,...", value_delimiter = ',')]
    pub isa: Vec<String>,
    /// How much the executables that other nodes have sent may take, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 4096)]
    pub store: u64,
}

/// How often a node tells others how it is.
const BEAT: Duration = Duration::from_secs(1);

/// What the threads of a daemon share.
pub(crate) struct Daemon {
    directory: Directory,
    identity: Identity,
    /// Where it listens.
    listens: SocketAddr,
    native: Vec<Isa>,
    emulated: Vec<Isa>,
    members: Mutex<Members>,
    /// What is known of the others.
    peers: Mutex<BTreeMap<PublicKey, Peer>>,
    report: Mutex<Report>,
    programs: Programs,
    store: Store,
    /// Connections whose other ends have not said who they are.
    strangers: AtomicUsize,
    /// Connections with members.
    sessions: AtomicUsize,
}

#[derive(Clone, Default)]
struct Peer {
    report: Option<Report>,
    /// Why it is down, or that nothing has been heard yet.
    down: Option<String>,
}

/// Runs the daemon of a node until it is told to stop.
///
/// # Errors
/// If the node cannot be used, or one runs already.
pub fn run(options: &Options) -> Result<()> {
    let directory = Directory::new(options.dir.clone())?;
    let mut identity = Identity::read(&directory)?;
    let Some(_lock) = directory.lock_daemon()? else {
        return Err(NodeError::Running { directory: directory.path().to_owned() });
    };
    if let Some(name) = &options.name {
        identity.rename(&directory, name)?;
    }
    let (native, emulated) =
        report::isas(if options.isa.is_empty() { &identity.configuration.isas } else { &options.isa })?;
    let wanted = options.listen.unwrap_or(identity.configuration.listen);
    let cannot_listen = |source| NodeError::Unreachable { address: format!("listening at {wanted}"), source };
    let listener = TcpListener::bind(wanted).map_err(cannot_listen)?;
    let listens = listener.local_addr().map_err(cannot_listen)?;
    let members = announce_self(&directory, &identity, listens)?;
    let daemon = Arc::new(Daemon {
        store: Store::new(directory.store(), options.store << 20)?,
        programs: Programs::find(&directory)?,
        directory,
        identity,
        listens,
        native,
        emulated,
        members: Mutex::new(members),
        peers: Mutex::default(),
        report: Mutex::default(),
        strangers: AtomicUsize::new(0),
        sessions: AtomicUsize::new(0),
    });
    daemon.look();
    let control = listener::control(&daemon)?;
    let stopper = Arc::clone(&daemon);
    let mut signals =
        signal_hook::iterator::Signals::new([SIGTERM, SIGINT]).map_err(NodeError::system("handling signals"))?;
    start("signals", move || {
        if signals.forever().next().is_some() {
            stopper.stop();
        }
    })?;
    let shared = Arc::clone(&daemon);
    start("control", move || listener::serve_control(&shared, &control))?;
    let shared = Arc::clone(&daemon);
    start("clock", move || shared.tick())?;
    let shared = Arc::clone(&daemon);
    start("settle", move || shared.settle())?;
    daemon.watch_members()?;
    note(&format!(
        "node {} ({}) listens at {listens}, directory {}",
        daemon.identity.configuration.name,
        daemon.identity.public(),
        daemon.directory.path().display()
    ));
    ready();
    listener::serve(&daemon, &listener);
    Ok(())
}

/// Sees to it that one's own entry is in the list of members, with the address if that is known.
fn announce_self(directory: &Directory, identity: &Identity, listens: SocketAddr) -> Result<Members> {
    let key = identity.public();
    Members::change(directory, |members| {
        let known = members.trusted(&key).cloned();
        let own = known.clone().unwrap_or(Member {
            revision: 0,
            removed: false,
            name: String::new(),
            address: String::new(),
            key,
        });
        let address = if listens.ip().is_unspecified() { own.address.clone() } else { listens.to_string() };
        let name = identity.configuration.name.clone();
        if known.is_none_or(|known| known.name != name || known.address != address) {
            members.set(Member { name, address, ..own });
        }
        Ok(())
    })
}

/// Tells systemd, if it has started this, that others can connect now.
fn ready() {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let send = || {
        use std::os::linux::net::SocketAddrExt as _;
        use std::os::unix::ffi::OsStrExt as _;
        let address = match path.as_bytes() {
            [b'@', name @ ..] => std::os::unix::net::SocketAddr::from_abstract_name(name)?,
            name => std::os::unix::net::SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
        };
        std::os::unix::net::UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address)
    };
    if let Err(error) = send() {
        note(&format!("cannot tell systemd that this is ready: {error}"));
    }
}

/// A line for the log: systemd keeps what is written to standard error.
pub(crate) fn note(text: &str) {
    use std::io::Write as _;
    // Nobody may be reading.
    let _ = writeln!(std::io::stderr(), "maized: {text}");
}

/// Starts a thread that needs little memory.
fn start(name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
    let builder = thread::Builder::new().name(name.into()).stack_size(256 << 10);
    builder.spawn(body).map(|_| ()).map_err(NodeError::system("starting a thread"))
}

impl Daemon {
    /// Ends the daemon. Programs go on.
    fn stop(&self) -> ! {
        note("stops");
        let _ = std::fs::remove_file(self.directory.control());
        std::process::exit(0)
    }

    /// What is done once a second.
    fn tick(&self) {
        loop {
            thread::sleep(BEAT);
            self.programs.look_after();
            self.look();
        }
    }

    /// How this node is now.
    fn look(&self) {
        let report =
            report::measure(self.programs.running(), &self.native, &self.emulated, self.directory.draining().exists());
        *lock(&self.report) = report;
    }

    /// Takes programs, or none from now on.
    fn accept_programs(&self, accept: bool) -> Result<()> {
        let path = self.directory.draining();
        if accept {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(NodeError::file("remove", path)(error));
                }
                _ => {}
            }
        } else {
            write_private(&path, b"")?;
        }
        self.look();
        Ok(())
    }

    fn heartbeat(&self, known: Option<[u8; 16]>) -> Heartbeat {
        let members = lock(&self.members);
        let digest = members.digest();
        let entries = if known == Some(digest) { Vec::new() } else { members.entries() };
        Heartbeat { report: lock(&self.report).clone(), digest, members: entries }
    }

    /// Takes over what somebody else knows of members.
    fn learn(self: &Arc<Self>, heard: &[Member]) -> Result<()> {
        let is_news = lock(&self.members).clone().merge(heard.iter().cloned());
        if !is_news {
            return Ok(());
        }
        let members = Members::change(&self.directory, |members| {
            members.merge(heard.iter().cloned());
            Ok(())
        })?;
        self.know(members)
    }

    /// Has a new list of members.
    fn know(self: &Arc<Self>, members: Members) -> Result<()> {
        lock(&self.members).merge(members.entries());
        self.watch_members()
    }

    /// How all members are, as far as is known.
    fn nodes(&self) -> Vec<NodeStatus> {
        let own = self.status();
        let peers = lock(&self.peers).clone();
        let members = lock(&self.members);
        let others =
            members.iter().filter(|member| member.key != own.key && !member.address.is_empty()).map(|member| {
                let peer = peers.get(&member.key).cloned().unwrap_or_default();
                let state = match (&peer.down, &peer.report) {
                    (None, Some(report)) if report.draining => State::Draining,
                    (None, Some(_)) => State::Ready,
                    _ => State::Down,
                };
                NodeStatus {
                    name: member.name.clone(),
                    address: member.address.clone(),
                    key: member.key,
                    state,
                    reason: peer.down.or_else(|| (state == State::Down).then(|| "not heard of yet".into())),
                    report: peer.report,
                }
            });
        let mut nodes: Vec<NodeStatus> = others.collect();
        nodes.push(own);
        nodes.sort_by(|one, other| one.name.cmp(&other.name));
        nodes
    }

    /// How this node is.
    fn status(&self) -> NodeStatus {
        let report = lock(&self.report).clone();
        let key = self.identity.public();
        let address =
            lock(&self.members).trusted(&key).map(|own| own.address.clone()).filter(|address| !address.is_empty());
        NodeStatus {
            name: self.identity.configuration.name.clone(),
            address: address.unwrap_or_else(|| self.listens.to_string()),
            key,
            state: if report.draining { State::Draining } else { State::Ready },
            reason: None,
            report: Some(report),
        }
    }
}

/// Counts one more while it exists.
struct Counted {
    daemon: Arc<Daemon>,
    counter: fn(&Daemon) -> &AtomicUsize,
}

impl Counted {
    /// `None` if there are so many already.
    fn new(daemon: &Arc<Daemon>, counter: fn(&Daemon) -> &AtomicUsize, most: usize) -> Option<Counted> {
        let before = counter(daemon).fetch_add(1, Ordering::Relaxed);
        let counted = Counted { daemon: Arc::clone(daemon), counter };
        (before < most).then_some(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.counter)(&self.daemon).fetch_sub(1, Ordering::Relaxed);
    }
}

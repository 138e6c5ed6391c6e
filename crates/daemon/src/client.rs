//! What commands ask of nodes: of the daemon on this machine by its socket, of others over the network as the node itself, by its keys.

use crate::channel::{self, Opener, Sealer};
use crate::directory::Directory;
use crate::error::{NodeError, Result};
use crate::identity::{Identity, MemoryOrder};
use crate::members::Members;
use crate::message::{
    Join, LIMIT, Location, LogRecord, NodeStatus, ProgramStatus, Reply, Request, Usage, receive, send,
};
use crate::token::Token;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// How long another node may take to be reached, and to take what it is told.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a daemon may take to answer: its machine may have much else to do.
const ANSWERS: Duration = Duration::from_secs(15);

/// How often a program may have moved since it had the name by which it is asked for.
const MOST_MOVES: usize = 1000;

/// The node that a command belongs to.
pub struct Node {
    directory: Directory,
    identity: Identity,
}

/// Where a program is to go, and how.
#[derive(Clone, Debug)]
pub struct Travel {
    /// The node.
    pub to: String,
    /// The ISA to be on there; the node's own if `None`.
    pub isa: Option<String>,
    /// How long it may take to stop the program.
    pub timeout: Duration,
    /// When memory goes that it changes faster than it can be sent; what the configuration of the node that it leaves says if `None`.
    pub memory: Option<MemoryOrder>,
}

/// What comes of asking for a program.
pub(crate) enum Found<T> {
    /// It is there, or nowhere, which is what was to be found out.
    Here(T),
    /// It has gone to another node.
    Elsewhere(Location),
}

/// A connection to a member.
pub(crate) struct Connection {
    pub(crate) name: String,
    pub(crate) sealer: Sealer,
    pub(crate) opener: Opener,
}

impl Connection {
    fn lost(&self) -> impl Fn(std::io::Error) -> NodeError + use<> {
        let peer = self.name.clone();
        move |source| NodeError::Lost { peer: peer.clone(), source }
    }

    pub(crate) fn send<T: serde::Serialize>(&mut self, message: &T) -> Result<()> {
        send(&mut self.sealer, message).map_err(self.lost())
    }

    pub(crate) fn receive<T: serde::de::DeserializeOwned>(&mut self) -> Result<T> {
        let lost = self.lost();
        receive(&mut self.opener, LIMIT).map_err(&lost)?.ok_or_else(|| lost(std::io::ErrorKind::UnexpectedEof.into()))
    }
}

impl Node {
    /// The node in a directory, or in the usual one.
    ///
    /// # Errors
    /// If there is none, or others get at its keys.
    pub fn open(directory: Option<PathBuf>) -> Result<Node> {
        let directory = Directory::new(directory)?;
        let identity = Identity::read(&directory)?;
        Ok(Node { directory, identity })
    }

    /// Who it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Makes a token with which another node may join.
    ///
    /// # Errors
    /// If it cannot be written down.
    pub fn token(&self, valid: Duration) -> Result<Token> {
        Token::create(&self.directory, self.identity.public(), valid)
    }

    /// Becomes a member where `address` is one, by a token of that one. Returns the members' names.
    ///
    /// # Errors
    /// If the token is not taken, or this is a member of a cluster already.
    pub fn join(&self, token: &Token, address: &str) -> Result<Vec<String>> {
        let own = self.identity.public();
        let others: Vec<String> = Members::read(&self.directory)?
            .iter()
            .filter(|member| member.key != own)
            .map(|member| member.name.clone())
            .collect();
        if !others.is_empty() {
            return Err(NodeError::Invalid(format!(
                "this node is in a cluster already, with {}; make another with `maize node init --dir DIR`",
                others.join(", ")
            )));
        }
        let address = if address.contains(':') { address.to_owned() } else { format!("{address}:{}", crate::PORT) };
        let connection = channel::connect(&address, self.identity.private(), &token.member, PATIENCE)?;
        let lost = |source| NodeError::Lost { peer: address.clone(), source };
        connection.socket.set_read_timeout(Some(ANSWERS)).map_err(lost)?;
        let (sealer, opener) = connection.state.resume(connection.socket).map_err(lost)?;
        let mut connection = Connection { name: address.clone(), sealer, opener };
        let listen = self.identity.configuration.listen;
        let listens = if listen.ip().is_unspecified() { format!(":{}", listen.port()) } else { listen.to_string() };
        let name = self.identity.configuration.name.clone();
        connection.send(&Request::Join(Join { secret: token.secret, name, address: listens }))?;
        let welcome = match connection.receive()? {
            Reply::Welcome(members) => members,
            other => return Err(unexpected(address, other)),
        };
        let members = Members::change(&self.directory, |members| {
            members.merge(welcome);
            Ok(())
        })?;
        self.reload()?;
        Ok(members.iter().map(|member| member.name.clone()).collect())
    }

    /// Takes trust away from a member; the others hear of it from the daemon.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn remove(&self, name: &str) -> Result<()> {
        Members::change(&self.directory, |members| members.remove(name))?;
        self.reload()
    }

    /// Adds a member whose key is known, without a token.
    ///
    /// # Errors
    /// If the name is another's.
    pub fn add(&self, name: &str, address: &str, key: crate::PublicKey) -> Result<()> {
        Members::change(&self.directory, |members| members.add(name, address, key))?;
        self.reload()
    }

    /// Has the daemon, if one runs, read the list of members.
    fn reload(&self) -> Result<()> {
        match self.ask_daemon(&Request::Reload) {
            Ok(_) | Err(NodeError::NotRunning { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Stops the daemon, and waits until it has ended.
    ///
    /// # Errors
    /// [`NodeError::NotRunning`].
    pub fn stop(&self) -> Result<()> {
        self.ask_daemon(&Request::Stop)?;
        for _ in 0..500 {
            if self.directory.lock_daemon()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(NodeError::Invalid("maized said that it stops, and has not ended within 5 s".into()))
    }

    /// How the node itself is, says its daemon.
    ///
    /// # Errors
    /// [`NodeError::NotRunning`].
    pub fn status(&self) -> Result<NodeStatus> {
        match self.ask_daemon(&Request::Status)? {
            Reply::Nodes(nodes) if nodes.len() == 1 => Ok(nodes.into_iter().next().unwrap_or_else(|| unreachable!())),
            other => Err(unexpected("maized".into(), other)),
        }
    }

    /// How all nodes are.
    ///
    /// # Errors
    /// [`NodeError::NotRunning`].
    pub fn nodes(&self) -> Result<Vec<NodeStatus>> {
        match self.ask_daemon(&Request::Nodes)? {
            Reply::Nodes(nodes) => Ok(nodes),
            other => Err(unexpected("maized".into(), other)),
        }
    }

    /// Has a node (this one, if none is named) take programs, or none.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub fn accept(&self, name: Option<&str>, accept: bool) -> Result<()> {
        self.ask_for_deed(name, &Request::Accept(accept))
    }

    /// Sends a program a signal.
    ///
    /// # Errors
    /// If there is no such program, or its node cannot be reached.
    pub fn signal(&self, name: Option<&str>, program: u32, signal: u8) -> Result<()> {
        let request = |program| Request::Signal { program, signal };
        match self.ask_where_it_is(name, program, Some(ANSWERS), request)? {
            (_, Reply::Done) => Ok(()),
            (asked, other) => Err(unexpected(asked, other)),
        }
    }

    /// Has a program go to another node; returns where it is then.
    ///
    /// # Errors
    /// If it stays where it is, with the reason.
    pub fn migrate(&self, name: Option<&str>, program: u32, travel: &Travel) -> Result<Location> {
        match self.ask_to_migrate(name, program, travel, false)? {
            (_, Reply::Migrated(location)) => Ok(location),
            (asked, other) => Err(unexpected(asked, other)),
        }
    }

    /// Finds out whether a program can go to another node, without stopping it.
    ///
    /// # Errors
    /// If it cannot, with the reason. What does not show while it runs is found out by [`Node::migrate`] alone.
    pub fn can_migrate(&self, name: Option<&str>, program: u32, travel: &Travel) -> Result<()> {
        match self.ask_to_migrate(name, program, travel, true)? {
            (_, Reply::Done) => Ok(()),
            (asked, other) => Err(unexpected(asked, other)),
        }
    }

    /// Decides where a program is that was given to a node which does not answer: it runs on here (on the node where it was), or is taken to be there.
    ///
    /// # Errors
    /// If it does not wait for that node, or the node answers.
    pub fn resolve(&self, name: Option<&str>, program: u32, here: bool) -> Result<()> {
        // It asks the other node first, which takes as long as that is waited for.
        match self.ask_for(name, &Request::Resolve { program, here }, Some(ANSWERS))? {
            Reply::Done => Ok(()),
            other => Err(unexpected(self.called(name), other)),
        }
    }

    fn ask_to_migrate(
        &self,
        name: Option<&str>,
        program: u32,
        travel: &Travel,
        dry_run: bool,
    ) -> Result<(String, Reply)> {
        let timeout_ms = u64::try_from(travel.timeout.as_millis()).unwrap_or(u64::MAX);
        let Travel { to, isa, memory, .. } = travel.clone();
        let request = |program| {
            let (to, isa) = (to.clone(), isa.clone());
            Request::Migrate { program, to, isa, timeout_ms, memory, dry_run }
        };
        // How long it takes depends on the program's size.
        self.ask_where_it_is(name, program, None, request)
    }

    /// Asks something about a program where it is, if it has moved. Returns who has answered, too.
    fn ask_where_it_is(
        &self,
        name: Option<&str>,
        program: u32,
        patience: Option<Duration>,
        request: impl Fn(u32) -> Request,
    ) -> Result<(String, Reply)> {
        self.seek(name, program, |at| {
            Ok(match self.ask_for(Some(&at.node), &request(at.program), patience)? {
                Reply::Elsewhere(location) => Found::Elsewhere(location),
                reply => Found::Here((at.node.clone(), reply)),
            })
        })
    }

    /// Asks for a program where it was, and then where it has gone, and so on.
    pub(crate) fn seek<T>(
        &self,
        name: Option<&str>,
        program: u32,
        mut ask: impl FnMut(&Location) -> Result<Found<T>>,
    ) -> Result<T> {
        let mut at = Location { node: self.called(name), program };
        for _ in 0..MOST_MOVES {
            match ask(&at)? {
                Found::Elsewhere(location) => at = location,
                Found::Here(found) => return Ok(found),
            }
        }
        let Location { node, program } = at;
        Err(NodeError::Invalid(format!("the program has moved too often to be found; it was {node}:{program} at last")))
    }

    /// The programs of a node.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub fn programs(&self, name: Option<&str>) -> Result<Vec<ProgramStatus>> {
        match self.ask(name, &Request::Programs)? {
            Reply::Programs(programs) => Ok(programs),
            other => Err(unexpected(self.called(name), other)),
        }
    }

    /// What the programs of a node use that run.
    ///
    /// # Errors
    /// If it cannot be reached, or does not answer at once.
    pub fn usage(&self, name: &str) -> Result<Vec<Usage>> {
        match self.ask_for(Some(name), &Request::Usage, Some(PATIENCE))? {
            Reply::Usage(usage) => Ok(usage),
            other => Err(unexpected(name.to_owned(), other)),
        }
    }

    /// Gives `take` what a detached program has written, and with `follow` what it writes until it ends. Ends early if `take` returns false.
    ///
    /// # Errors
    /// If there is no such program, or its node cannot be reached.
    pub fn logs(
        &self,
        name: Option<&str>,
        program: u32,
        follow: bool,
        mut take: impl FnMut(LogRecord) -> bool,
    ) -> Result<()> {
        // The log goes along with the program: what has been seen of it is not shown again.
        let mut seen = Seen::default();
        self.seek(name, program, |at| {
            let mut connection = self.connect(Some(&at.node))?;
            connection.send(&Request::Logs { program: at.program, follow })?;
            let mut again = seen;
            loop {
                match connection.receive()? {
                    Reply::Log(record) if again.takes(&record) => {}
                    Reply::Log(record) => {
                        seen.note(&record);
                        if !take(record) {
                            return Ok(Found::Here(()));
                        }
                    }
                    Reply::EndOfLog => return Ok(Found::Here(())),
                    Reply::Elsewhere(location) => return Ok(Found::Elsewhere(location)),
                    other => return Err(unexpected(connection.name, other)),
                }
            }
        })
    }

    fn ask_for_deed(&self, name: Option<&str>, request: &Request) -> Result<()> {
        match self.ask(name, request)? {
            Reply::Done => Ok(()),
            other => Err(unexpected(self.called(name), other)),
        }
    }

    fn called(&self, name: Option<&str>) -> String {
        name.unwrap_or(&self.identity.configuration.name).to_owned()
    }

    fn ask(&self, name: Option<&str>, request: &Request) -> Result<Reply> {
        self.ask_for(name, request, Some(ANSWERS))
    }

    fn ask_for(&self, name: Option<&str>, request: &Request, patience: Option<Duration>) -> Result<Reply> {
        if name.is_none_or(|name| name == self.identity.configuration.name) {
            return self.ask_daemon_for(request, patience);
        }
        let mut connection = self.connect(name)?;
        let lost = connection.lost();
        connection.opener.socket().set_read_timeout(patience).map_err(lost)?;
        if patience.is_none() {
            connection.opener.watch();
        }
        connection.send(request)?;
        connection.receive()
    }

    fn ask_daemon(&self, request: &Request) -> Result<Reply> {
        self.ask_daemon_for(request, Some(ANSWERS))
    }

    fn ask_daemon_for(&self, request: &Request, patience: Option<Duration>) -> Result<Reply> {
        let path = self.directory.control();
        let not_running = || NodeError::NotRunning { directory: self.directory.path().to_owned() };
        let mut stream = UnixStream::connect(&path).map_err(|_| not_running())?;
        let ask = || {
            stream.set_read_timeout(patience)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            send(&mut stream, request)?;
            receive(&mut stream, LIMIT)
        };
        let mut ask = ask;
        let reply = ask().map_err(|source| NodeError::Lost { peer: "maized".into(), source })?;
        match reply {
            Some(Reply::Refused(reason)) => Err(NodeError::Refused { peer: self.called(None), reason }),
            Some(reply) => Ok(reply),
            None => Err(not_running()),
        }
    }

    /// Connects to a member, or to the daemon here if none is named.
    pub(crate) fn connect(&self, name: Option<&str>) -> Result<Connection> {
        let name = self.called(name);
        let members = Members::read(&self.directory)?;
        let member = members.named(&name)?;
        let address = if member.key == self.identity.public() { self.own_address()? } else { member.address.clone() };
        if address.is_empty() {
            return Err(NodeError::Invalid(format!("node {name} has no address; it does not run programs")));
        }
        let connection = channel::connect(&address, self.identity.private(), &member.key, PATIENCE)?;
        let lost = |source| NodeError::Lost { peer: name.clone(), source };
        let (sealer, opener) = connection.state.resume(connection.socket).map_err(lost)?;
        Ok(Connection { name, sealer, opener })
    }

    /// Where the daemon on this machine is reached from it.
    fn own_address(&self) -> Result<String> {
        let address = self.status()?.address;
        Ok(match address.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_unspecified() => {
                SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())).to_string()
            }
            _ => address,
        })
    }
}

/// How much of a log has been seen: all before a time, and so many records of that time.
#[derive(Clone, Copy, Default)]
struct Seen {
    time_us: u64,
    records: u64,
}

impl Seen {
    fn note(&mut self, record: &LogRecord) {
        let records = if record.time_us == self.time_us { self.records } else { 0 };
        *self = Seen { time_us: record.time_us, records: records + 1 };
    }

    /// Whether a record of the same log, read again from its start, is one of them.
    fn takes(&mut self, record: &LogRecord) -> bool {
        if record.time_us == self.time_us && self.records > 0 {
            self.records -= 1;
            return true;
        }
        record.time_us < self.time_us
    }
}

pub(crate) fn unexpected(peer: String, reply: Reply) -> NodeError {
    match reply {
        Reply::Refused(reason) => NodeError::Refused { peer, reason },
        Reply::CannotStart { status, message } => NodeError::CannotStart { status, message },
        other => NodeError::Protocol { peer, message: format!("an answer to something else: {other:?}") },
    }
}

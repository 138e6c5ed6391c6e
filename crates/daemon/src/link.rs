//! Between the daemon and the shims of its programs, on one machine: handing over a connection, and asking a shim that runs.

use crate::channel::Handover;
use crate::error::{NodeError, Result};
use crate::identity::PublicKey;
use crate::message::{LIMIT, Location, ProgramStatus, Snapshot, Start, Transfer, receive, send};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a shim is to do.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    /// The program.
    pub(crate) start: Start,
    /// In the store.
    pub(crate) executable: PathBuf,
    /// Where it begins.
    pub(crate) beginning: Beginning,
    /// Where the program's own directory is made.
    pub(crate) programs: PathBuf,
    /// What this node is called.
    pub(crate) node: String,
    /// Who wants it.
    pub(crate) started_by: String,
    /// The connection to who wants it. Its socket comes along.
    pub(crate) connection: Handover,
    /// If it comes from another node and is attached to the command that has started it: the connection to the shim that hands on its streams. Its socket
    /// comes after the order.
    pub(crate) home: Option<Handover>,
    /// If it sees the files of another node: the connection to that. Its socket comes last.
    pub(crate) files: Option<Handover>,
}

/// Where a program begins.
#[derive(Serialize, Deserialize)]
pub(crate) enum Beginning {
    /// With its first instruction.
    Anew,
    /// Where it was saved.
    Restored(Snapshot),
    /// Where it is on another node.
    Comes(Box<Come>),
}

impl Beginning {
    /// What is known of a program that comes from another node.
    pub(crate) fn comes(&self) -> Option<&Come> {
        match self {
            Beginning::Comes(come) => Some(come),
            Beginning::Anew | Beginning::Restored(_) => None,
        }
    }
}

/// What is known of a program that comes from another node, besides how it was started.
#[derive(Serialize, Deserialize)]
pub(crate) struct Come {
    pub(crate) status: ProgramStatus,
    pub(crate) transfer: Transfer,
    /// The node's key.
    pub(crate) from: PublicKey,
    /// What the node is called.
    pub(crate) node: String,
    /// If it is attached to the command that has started it: the program as which it was started, whose shim hands on its streams.
    pub(crate) home: Option<Location>,
}

/// Where a program is to go.
#[derive(Serialize, Deserialize)]
pub(crate) struct Leave {
    /// The node.
    pub(crate) to: String,
    /// The ISA to be on there.
    pub(crate) isa: Option<String>,
    /// How long it may take to stop the program.
    pub(crate) timeout: Duration,
    /// A part of its memory may go after it.
    pub(crate) memory_after: bool,
    /// Only find out whether it can go.
    pub(crate) dry_run: bool,
    /// The connection to that node. Its socket comes after the question.
    pub(crate) connection: Handover,
}

/// The shim of a program that was started here is to hand on the streams of that program, which goes to another node.
#[derive(Serialize, Deserialize)]
pub(crate) struct Attach {
    /// The node.
    pub(crate) to: String,
    /// The attempt to go there.
    pub(crate) transfer: Transfer,
    /// The connection to the shim there. Its socket comes after the question.
    pub(crate) connection: Handover,
}

/// The shim of a program that has gone to another node is to send on what is left of its memory.
#[derive(Serialize, Deserialize)]
pub(crate) struct Follow {
    /// The attempt in which it has gone.
    pub(crate) transfer: Transfer,
    /// The connection to the shim there. Its socket comes after the question.
    pub(crate) connection: Handover,
}

/// Its program is to be asked something.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ask {
    /// What: [`maize_node::Action`], in JSON.
    pub(crate) action: String,
    /// The connection to who asks. Its socket comes after the question.
    pub(crate) connection: Handover,
}

/// What the daemon asks a shim.
#[derive(Serialize, Deserialize)]
pub(crate) enum Question {
    /// Close when the program ends.
    Watch,
    /// Send the program this signal. The answer is no if it has gone to another node.
    Signal(u8),
    /// Do not wait any longer for the node that the program was given to: it is to run on here, or is taken to be there. The answer is no if nothing is waited for.
    Resolve {
        /// It is to run on here.
        here: bool,
    },
    /// Take the program to another node. The answer is where it is then (nowhere else, if it was only to be found out), or why it has not gone.
    Leave(Box<Leave>),
    /// Hand on streams. The answer is given on that connection.
    Attach(Box<Attach>),
    /// Send on memory. The answer is given on that connection.
    Follow(Box<Follow>),
    /// Ask the program. The answer is given on that connection.
    Ask(Box<Ask>),
}

/// The longest question: a name, and a handover.
pub(crate) const QUESTIONS_LIMIT: usize = 1024;

/// Shims answer at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// An order holds a message of another node, and some paths.
const ORDERS_LIMIT: usize = LIMIT + (64 << 10);

/// The sockets of the connections in an order.
pub(crate) struct Sockets {
    /// Of [`Order::connection`].
    pub(crate) connection: TcpStream,
    /// Of [`Order::home`].
    pub(crate) home: Option<TcpStream>,
    /// Of [`Order::files`].
    pub(crate) files: Option<TcpStream>,
}

/// In a process that the daemon has started: its standard input, on which it is told what to do, in a session of its own.
pub(crate) fn daemon() -> Result<UnixStream> {
    let input = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3).map_err(NodeError::system("finding the daemon"))?;
    rustix::process::setsid().map_err(NodeError::system("starting a session"))?;
    Ok(UnixStream::from(input))
}

/// Hands a shim its order, and the sockets that belong to it.
pub(crate) fn hand_over(shim: &mut UnixStream, order: &Order, sockets: &Sockets) -> io::Result<()> {
    let Sockets { connection, home, files } = sockets;
    send_socket(shim, connection)?;
    send_order(shim, order)?;
    home.iter().chain(files).try_for_each(|socket| send_socket(shim, socket))
}

fn send_socket(shim: &UnixStream, socket: &TcpStream) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let sockets = [socket.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&sockets));
    rustix::net::sendmsg(shim, &[IoSlice::new(&[0])], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Orders are a little longer than what is the limit between machines.
fn send_order(shim: &mut UnixStream, order: &Order) -> io::Result<()> {
    use std::io::Write as _;
    let bytes = postcard::to_stdvec(order).map_err(io::Error::other)?;
    shim.write_all(&u32::try_from(bytes.len()).map_err(io::Error::other)?.to_le_bytes())?;
    shim.write_all(&bytes)
}

/// What a shim is to do, with the sockets that belong to it.
pub(crate) fn take_over(daemon: &mut UnixStream) -> io::Result<(Order, Sockets)> {
    let connection = receive_socket(daemon)?;
    let order: Order = receive(daemon, ORDERS_LIMIT)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let home = order.home.is_some().then(|| receive_socket(daemon)).transpose()?;
    let files = order.files.is_some().then(|| receive_socket(daemon)).transpose()?;
    Ok((order, Sockets { connection, home, files }))
}

/// Hands over a connection by itself.
pub(crate) fn hand_over_connection(to: &mut UnixStream, connection: &Handover, socket: &TcpStream) -> io::Result<()> {
    send_socket(to, socket)?;
    send(to, connection)
}

/// Takes a connection that was handed over by itself.
pub(crate) fn take_over_connection(daemon: &mut UnixStream) -> io::Result<(Handover, TcpStream)> {
    let socket = receive_socket(daemon)?;
    let connection = receive(daemon, QUESTIONS_LIMIT)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((connection, socket))
}

/// Takes a socket that comes by itself.
pub(crate) fn receive_socket(daemon: &UnixStream) -> io::Result<TcpStream> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    rustix::net::recvmsg(daemon, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let rights = |message| if let RecvAncillaryMessage::ScmRights(rights) = message { Some(rights) } else { None };
    let socket: Option<OwnedFd> = ancillary.drain().filter_map(rights).flatten().next();
    Ok(socket.ok_or(io::ErrorKind::UnexpectedEof)?.into())
}

/// The socket of a program's shim.
pub(crate) fn socket(program: &Path) -> PathBuf {
    program.join("socket")
}

/// Asks the shim of the program whose directory this is.
pub(crate) fn ask(program: &Path, question: &Question) -> Result<UnixStream> {
    let path = socket(program);
    let ask = || -> io::Result<UnixStream> {
        let mut stream = UnixStream::connect(&path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        send(&mut stream, question)?;
        match receive::<bool>(&mut stream, 1)? {
            Some(true) => Ok(stream),
            Some(false) => Err(io::ErrorKind::InvalidInput.into()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    };
    ask().map_err(NodeError::file("ask", &path))
}

/// Has the shim of a program take it to another node, by this connection. Waits until it is there, or stays, or is known to be able to go.
pub(crate) fn leave(program: &Path, leave: Leave, connection: &TcpStream) -> Result<Option<Location>> {
    let path = socket(program);
    let ask = || -> io::Result<std::result::Result<Option<Location>, String>> {
        let mut stream = UnixStream::connect(&path)?;
        send(&mut stream, &Question::Leave(Box::new(leave)))?;
        send_socket(&stream, connection)?;
        let answer = receive(&mut stream, LIMIT)?;
        Ok(answer.unwrap_or_else(|| Err("the program has ended meanwhile".into())))
    };
    ask().map_err(NodeError::file("ask", &path))?.map_err(NodeError::Invalid)
}

/// Gives a connection to a shim, which answers on it.
pub(crate) fn give(program: &Path, question: &Question, connection: &TcpStream) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket(program))?;
    send(&mut stream, question)?;
    send_socket(&stream, connection)
}

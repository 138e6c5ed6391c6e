//! `maize node`, `maize nodes` and `maize logs`.

pub mod table;

use crate::arguments::nodes::{
    self as arguments, Init, Kill, Logs, MaybeNamed, NodeSubcommand, Nodes, ProgramName, Programs, Settle, Status,
    TokenOptions,
};
use crate::beside;
use crate::error::{CommandError, print};
use maize_daemon::client::Node;
use maize_daemon::drain::{Drain, Fate, Step};
use maize_daemon::message::{ProgramStatus, Stream};
use maize_daemon::{Directory, Identity, Members};
use maize_terminal as terminal;
use serde::Serialize;
use std::env;
use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::thread;
use std::time::Duration;

/// Of what is printed as JSON.
const VERSION: u32 = 1;

/// Carries out `maize node`; returns its exit status.
///
/// # Errors
/// [`CommandError`].
pub fn execute(subcommand: NodeSubcommand) -> Result<i32, CommandError> {
    let done = match subcommand {
        NodeSubcommand::Drain(options) => return begin_to_drain(options),
        NodeSubcommand::Init(options) => init(options),
        NodeSubcommand::Token(TokenOptions { place, valid }) => {
            print(&format!("{}\n", Node::open(place.dir)?.token(valid)?))
        }
        NodeSubcommand::Join(options) => {
            let node = Node::open(options.place.dir)?;
            let members = node.join(&options.token, &options.address)?;
            print(&format!("{} is in a cluster of {} now\n", node.identity().configuration.name, members.join(", ")))
        }
        NodeSubcommand::Add(options) => {
            Ok(Node::open(options.place.dir)?.add(&options.name, &options.address, options.key)?)
        }
        NodeSubcommand::Remove(options) => Ok(Node::open(options.place.dir)?.remove(&options.node)?),
        NodeSubcommand::Start(_) => Err(start()),
        NodeSubcommand::Status(options) => status(options),
        NodeSubcommand::Stop(options) => Ok(Node::open(options.place.dir)?.stop()?),
        NodeSubcommand::Undrain(MaybeNamed { place, node }) => {
            Ok(Node::open(place.dir)?.accept(node.as_deref(), true)?)
        }
        NodeSubcommand::Programs(options) => programs(options),
        NodeSubcommand::Settle(Settle { place, here, program: ProgramName { node, program }, .. }) => {
            Ok(Node::open(place.dir)?.resolve(node.as_deref(), program, here)?)
        }
        NodeSubcommand::Kill(Kill { place, signal, program: ProgramName { node, program } }) => {
            Ok(Node::open(place.dir)?.signal(node.as_deref(), program, signal)?)
        }
    };
    done.map(|()| 0)
}

fn init(options: Init) -> Result<(), CommandError> {
    let directory = Directory::new(options.place.dir)?;
    let identity = Identity::create(&directory, options.name, options.listen)?;
    let listen = identity.configuration.listen;
    let address = if listen.ip().is_unspecified() { format!("HOST:{}", listen.port()) } else { listen.to_string() };
    let (name, key) = (&identity.configuration.name, identity.public());
    print(&format!("[[member]]\nname = \"{name}\"\naddress = \"{address}\"\nkey = \"{key}\"\n"))
}

/// Becomes maized.
fn start() -> CommandError {
    let arguments: Vec<OsString> = env::args_os().collect();
    // What follows `node start`.
    let position = arguments.iter().position(|word| word == "start").map_or(arguments.len(), |position| position + 1);
    beside::execute(beside::DAEMON, &arguments[position..])
}

/// `maize node drain`.
fn begin_to_drain(options: arguments::Drain) -> Result<i32, CommandError> {
    let arguments::Drain { place, node: from, moves, to, isa, timeout, memory, dry_run, json } = options;
    let node = Node::open(place.dir)?;
    if !dry_run {
        node.accept(from.as_deref(), false)?;
    }
    if !moves {
        return Ok(0);
    }
    let (isa, memory) = (isa.map(|isa| isa.name().to_owned()), memory.order());
    drain(&node, &Drain { from, to, isa, timeout, memory, dry_run }, json)
}

#[derive(Serialize)]
struct Fates {
    programs: Vec<Fate>,
}

/// Moves all programs of a node; returns the exit status of the command.
///
/// # Errors
/// [`CommandError`].
pub fn drain(node: &Node, options: &Drain, as_json: bool) -> Result<i32, CommandError> {
    let fates = maize_daemon::drain::drain(node, options, &mut |step| match step {
        Step::Stays { program, reason } => terminal::note(&format!("{program} stays: {reason}")),
        Step::Moves { program, to, number, of } => {
            terminal::note(&format!("{program} goes to {to} ({number} of {of})"));
        }
    })?;
    let status = i32::from(fates.iter().any(|fate| fate.outcome.is_left()));
    print(&if as_json { json(Fates { programs: fates })? } else { table::fates(&fates) })?;
    Ok(status)
}

#[derive(Serialize)]
struct Listing<T> {
    version: u32,
    #[serde(flatten)]
    content: T,
}

fn json<T: Serialize>(content: T) -> Result<String, CommandError> {
    let mut text = serde_json::to_string_pretty(&Listing { version: VERSION, content })?;
    text.push('\n');
    Ok(text)
}

fn status(options: Status) -> Result<(), CommandError> {
    let node = Node::open(options.place.dir)?;
    let status = node.status()?;
    if options.json {
        return print(&json(status)?);
    }
    let members = Members::read(node.directory())?;
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    print(&table::status(&status, node.directory().path(), &names))
}

#[derive(Serialize)]
struct NodeList {
    nodes: Vec<maize_daemon::message::NodeStatus>,
}

/// Carries out `maize nodes`.
///
/// # Errors
/// [`CommandError`].
pub fn list(options: Nodes) -> Result<(), CommandError> {
    let node = Node::open(options.place.dir)?;
    loop {
        let nodes = node.nodes()?;
        let text = if options.json { json(NodeList { nodes })? } else { table::nodes(&nodes) };
        if !options.watch {
            return print(&text);
        }
        if std::io::stdout().is_terminal() && !options.json {
            // Home, and clear what was there.
            print("\x1b[H\x1b[2J")?;
        }
        print(&text)?;
        std::io::stdout().flush().map_err(CommandError::Print)?;
        thread::sleep(Duration::from_secs(1));
    }
}

#[derive(Serialize)]
struct ProgramList {
    programs: Vec<ProgramStatus>,
}

fn programs(options: Programs) -> Result<(), CommandError> {
    let programs = Node::open(options.place.dir)?.programs(options.node.as_deref())?;
    print(&if options.json { json(ProgramList { programs })? } else { table::programs(&programs) })
}

/// Carries out `maize logs`.
///
/// # Errors
/// [`CommandError`].
pub fn logs(options: Logs) -> Result<(), CommandError> {
    let ProgramName { node, program } = options.program;
    let mut result = Ok(());
    Node::open(options.place.dir)?.logs(node.as_deref(), program, options.follow, |record| {
        let written = if options.json {
            // Bytes that are no text are replaced.
            let line = serde_json::json!({
                "time_us": record.time_us, "stream": record.stream, "text": String::from_utf8_lossy(&record.bytes),
            });
            writeln!(std::io::stdout(), "{line}")
        } else if record.stream == Stream::Output {
            std::io::stdout().write_all(&record.bytes).and_then(|()| std::io::stdout().flush())
        } else {
            std::io::stderr().write_all(&record.bytes)
        };
        match written {
            Ok(()) => true,
            Err(error) => {
                // A reader that has seen enough is no error.
                if error.kind() != std::io::ErrorKind::BrokenPipe {
                    result = Err(CommandError::Print(error));
                }
                false
            }
        }
    })?;
    result
}

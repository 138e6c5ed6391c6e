//! The command line of `maize node`, `maize nodes` and `maize logs`.

use super::{duration, isa};
use clap::{Args, ValueEnum, ValueHint};
use maize_abi::Isa;
use maize_daemon::{MemoryOrder, PublicKey, Token};
use maize_node::Address;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where the node is that a command belongs to.
#[derive(Args, Debug)]
pub struct Where {
    /// The node's directory [default: /var/lib/maize for root, else ~/.local/share/maize]
    #[arg(long, value_name = "DIR", env = "MAIZE_NODE_DIR", hide_env_values = true, value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct NodeArguments {
    #[command(subcommand)]
    pub subcommand: NodeSubcommand,
}

#[derive(clap::Subcommand, Debug)]
pub enum NodeSubcommand {
    /// Make the keys of a node
    #[command(after_help = INIT)]
    Init(Init),
    /// Print a token with which one other node may join
    #[command(after_help = TOKEN)]
    Token(TokenOptions),
    /// Join the cluster of another node
    #[command(after_help = JOIN)]
    Join(Join),
    /// Add a node whose key is known, without a token
    #[command(after_help = ADD)]
    Add(Add),
    /// Take trust away from a node
    #[command(after_help = REMOVE)]
    Remove(Named),
    /// Run the daemon, maized, in the foreground
    #[command(after_help = START)]
    Start(Box<maize_daemon::daemon::Options>),
    /// Show how this node is
    #[command(after_help = STATUS)]
    Status(Status),
    /// End the daemon; programs go on
    #[command(after_help = STOP)]
    Stop(Here),
    /// Have a node take no more programs, and move those that it has if that is wanted
    #[command(after_help = DRAIN)]
    Drain(Drain),
    /// Have a node take programs again
    #[command(after_help = UNDRAIN)]
    Undrain(MaybeNamed),
    /// List the programs of a node
    #[command(after_help = PROGRAMS)]
    Programs(Programs),
    /// Decide where a program is whose new node does not answer
    #[command(after_help = SETTLE)]
    Settle(Settle),
    /// Send a signal to a program on a node
    #[command(after_help = KILL)]
    Kill(Kill),
}

pub const NODE: &str = "\
A node is a directory with keys, and a daemon, maized. Nodes that trust each other's keys run programs for one another \
(`maize run --node`), and each can have all others run anything as its user: take in only machines of your own. docs/security.md says more.

Examples:
  maize node init --name a && maize node start     On the first machine
  maize node token                                 There, too: prints maize1-...
  maize node init --name b                         On the second machine
  maize node join maize1-... 192.0.2.1
  maize node start
  maize nodes";

#[derive(Args, Debug)]
pub struct Here {
    #[command(flatten)]
    pub place: Where,
}

/// How a program is on the node that it is started on.
#[derive(Args, Debug)]
pub struct Abode {
    /// With --node: do not wait for the program; print its name for `maize logs`
    #[arg(long, short, requires = "node")]
    pub detach: bool,
    /// With --detach: give the program an address of its own, which it takes along with its connections when it goes to another node; the interface is
    /// that which has an address of the same network, unless it is named
    #[arg(long, value_name = "IP/PREFIX[%INTERFACE]", requires = "detach")]
    pub address: Option<Address>,
    /// With --node: the program sees the files of this machine, wherever it is, instead of those of the node that it is on; maized serves them
    #[arg(long, requires = "node")]
    pub home_files: bool,
    /// With --node: the directory of this machine's own node
    #[arg(long, value_name = "DIR", env = "MAIZE_NODE_DIR", hide = true)]
    pub dir: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Init {
    #[command(flatten)]
    pub place: Where,
    /// What the node is called [default: the host's name]
    #[arg(long)]
    pub name: Option<String>,
    /// Where it listens [default: 0.0.0.0:7310]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
}

const INIT: &str = "\
Prints the entry for the members.toml of nodes that are to trust this one without a token.

Examples:
  maize node init
  maize node init --name build-arm --listen 192.0.2.7:7310";

#[derive(Args, Debug)]
pub struct TokenOptions {
    #[command(flatten)]
    pub place: Where,
    /// How long it can be used
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    pub valid: Duration,
}

const TOKEN: &str = "\
A token serves once. Who has it may join, so hand it on as you would a password.

Example:
  maize node token --valid 10min";

#[derive(Args, Debug)]
pub struct Join {
    #[command(flatten)]
    pub place: Where,
    /// What `maize node token` has printed
    pub token: Token,
    /// Where the node is that has printed it; the port is 7310 if left out
    #[arg(value_name = "ADDRESS", value_hint = ValueHint::Hostname)]
    pub address: String,
}

const JOIN: &str = "\
The token tells the other node's key, too: nothing else can answer in its place.

Example:
  maize node join maize1-... 192.0.2.1";

#[derive(Args, Debug)]
pub struct Add {
    #[command(flatten)]
    pub place: Where,
    /// What it is called
    pub name: String,
    /// Its public key
    pub key: PublicKey,
    /// Where it listens
    #[arg(value_name = "ADDRESS:PORT")]
    pub address: String,
}

const ADD: &str = "\
Both nodes have to know each other's keys. members.toml in the node's directory can be written by hand as well.

Example:
  maize node add b VWoIW3Jw2BCb0DBVWZrPQ4B0nTqBjVQc0S2Yw6mM0XA 192.0.2.2:7310";

#[derive(Args, Debug)]
pub struct Named {
    #[command(flatten)]
    pub place: Where,
    /// The node
    pub node: String,
}

const REMOVE: &str = "\
All nodes hear of it from each other. Programs that the node has started run on.

Example:
  maize node remove b";

const START: &str = "\
It stays in the foreground, as service managers want it; contrib/maized.service is a unit for systemd. Programs that it has \
started go on when it ends, and are found again.

Examples:
  maize node start
  maize node start --listen 192.0.2.1:7310 --isa x86_64,aarch64";

#[derive(Args, Debug)]
pub struct Status {
    #[command(flatten)]
    pub place: Where,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

const STATUS: &str = "\
Exit status: 0 if the daemon runs, 1 if not.

Example:
  maize node status";

const STOP: &str = "\
Example:
  maize node stop";

#[derive(Args, Debug)]
pub struct MaybeNamed {
    #[command(flatten)]
    pub place: Where,
    /// The node [default: this one]
    pub node: Option<String>,
}

#[derive(Args, Debug)]
#[command(mut_arg("memory", |memory| memory.requires("moves")))]
pub struct Drain {
    #[command(flatten)]
    pub place: Where,
    /// The node [default: this one]
    pub node: Option<String>,
    /// Move the programs that it has to other nodes
    #[arg(long = "move")]
    pub moves: bool,
    /// Move them all to this one [default: each to the ready node with the fewest programs that can take it]
    #[arg(long, value_name = "NODE", requires = "moves")]
    pub to: Option<String>,
    /// The ISA to be on there [default: that node's own]
    #[arg(long, value_parser = isa(), requires = "moves")]
    pub isa: Option<Isa>,
    /// How long to try to stop each of them
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration, requires = "moves")]
    pub timeout: Duration,
    #[command(flatten)]
    pub memory: NodeMemory,
    /// Only say what would be done, and what is in the way
    #[arg(long, requires = "moves")]
    pub dry_run: bool,
    /// Print the outcome as JSON
    #[arg(long, requires = "moves")]
    pub json: bool,
}

/// When the memory of a program goes to another node.
#[derive(Args, Clone, Copy, Debug)]
pub struct NodeMemory {
    /// To another node: all memory goes `ahead`, and what the program changes faster than it can be sent, it waits for; or that goes `after` it, so that the pause is shorter, and the
    /// program is lost if the node that it leaves, or the connection, is lost before all has come [default: what `memory` in that node's node.toml says, or `ahead`]
    #[arg(long, value_name = "WHEN", value_enum)]
    memory: Option<When>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    Ahead,
    After,
}

impl NodeMemory {
    /// What was said, if anything was.
    pub fn order(self) -> Option<MemoryOrder> {
        self.memory.map(|when| match when {
            When::Ahead => MemoryOrder::Ahead,
            When::After => MemoryOrder::After,
        })
    }
}

const DRAIN: &str = "\
Without --move, programs that it runs go on there. The node stays drained when its daemon starts anew.

With --move they go to other nodes, as with `maize migrate --all`. It is found out first which can, and where to: what cannot, such as a program with a \
terminal, is named before anything moves, and stays. `maize migrate --help` says what it takes to go.

Exit status: 0; 1 if the node cannot be asked, or a program is left on it (or, with --dry-run, would be).

Examples:
  maize node drain
  maize node drain b --move --dry-run
  maize node drain b --move --to c
  maize node drain b --move --json | jq '.programs[] | select(.outcome == \"stayed\")'";

const UNDRAIN: &str = "\
Examples:
  maize node undrain
  maize node undrain b";

#[derive(Args, Debug)]
pub struct Programs {
    #[command(flatten)]
    pub place: Where,
    /// The node [default: this one]
    pub node: Option<String>,
    /// Print them as JSON
    #[arg(long)]
    pub json: bool,
}

const PROGRAMS: &str = "\
Those that were started with `maize run --node`, or have come from other nodes: those that a command waits for while they run, detached ones with how they ended; and where those have gone that are \
not here any more.

Examples:
  maize node programs b
  maize node programs --json";

#[derive(Args, Debug)]
pub struct Kill {
    #[command(flatten)]
    pub place: Where,
    /// The signal's number
    #[arg(long, short, default_value_t = 15)]
    pub signal: u8,
    /// The program
    #[arg(value_name = "[NODE:]PID")]
    pub program: ProgramName,
}

const KILL: &str = "\
Examples:
  maize node kill b:4711
  maize node kill --signal 9 4711";

#[derive(Args, Debug)]
#[group(id = "where_it_is", required = true, multiple = false, args = ["here", "gone"])]
pub struct Settle {
    #[command(flatten)]
    pub place: Where,
    /// It runs on where it was: the other node does not have it, or will never come back
    #[arg(long)]
    pub here: bool,
    /// The other node has it: what is left of it where it was is ended
    #[arg(long)]
    pub gone: bool,
    /// The program, by the name that it had before the move
    #[arg(value_name = "[NODE:]PID")]
    pub program: ProgramName,
}

const SETTLE: &str = "\
When the connection is lost at the very moment at which a program changes nodes, the node that it leaves cannot know whether the other has it. The program waits there, \
stopped, until the other node answers; `maize ps` and `maize node programs` say so. That is enough unless the other node never comes back.

WARNING: only you know what has become of the other node. With --here while the program runs there, two copies of it run, and both write to the same files, until the \
nodes see each other again: then the copy there is killed. With --gone while it is not there, it is lost.

While the other node can be asked its answer counts, and this command is refused.

Examples:
  maize node settle 4711 --here
  maize node settle a:4711 --gone";

#[derive(Args, Debug)]
pub struct Nodes {
    #[command(flatten)]
    pub place: Where,
    /// Print them as JSON
    #[arg(long)]
    pub json: bool,
    /// Show them anew each second
    #[arg(long)]
    pub watch: bool,
}

pub const NODES: &str = "\
As the daemon of this machine sees them. A node that has not answered for three seconds is down.

Examples:
  maize nodes
  maize nodes --watch
  maize nodes --json | jq '.nodes[] | select(.state == \"ready\") | .name'";

#[derive(Args, Debug)]
pub struct Logs {
    #[command(flatten)]
    pub place: Where,
    /// Go on until the program ends
    #[arg(long, short)]
    pub follow: bool,
    /// Print the time before each piece of output, and which stream it was written to, as JSON
    #[arg(long)]
    pub json: bool,
    /// The program, as `maize run --detach` has printed it
    #[arg(value_name = "[NODE:]PID")]
    pub program: ProgramName,
}

pub const LOGS: &str = "\
What it has written to standard output is printed there, and standard error likewise. A log has 64 MiB at most: of more, the newest.

Examples:
  maize logs b:4711
  maize logs --follow b:4711";

/// A program on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramName {
    /// This one, if `None`.
    pub node: Option<String>,
    /// Its number there.
    pub program: u32,
}

impl std::str::FromStr for ProgramName {
    type Err = String;

    fn from_str(text: &str) -> Result<ProgramName, String> {
        let (node, number) = match text.rsplit_once(':') {
            Some((node, number)) => (Some(node.to_owned()), number),
            None => (None, text),
        };
        let program = number.parse().map_err(|_| "say NODE:PID, or the PID of a program on this node".to_owned())?;
        Ok(ProgramName { node, program })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_named_by_node_and_number() {
        let name = |node: Option<&str>, program| ProgramName { node: node.map(String::from), program };
        assert_eq!("b:17".parse(), Ok(name(Some("b"), 17)));
        assert_eq!("17".parse(), Ok(name(None, 17)));
        for wrong in ["", "b", "b:", ":b", "b:-1", "b:17:x"] {
            assert!(wrong.parse::<ProgramName>().is_err(), "{wrong}");
        }
    }
}

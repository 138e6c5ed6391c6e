//! What all nodes and this machine say at one time. Each node is asked by a thread of its own, so that none waits for another.

use crate::error::CommandError;
use maize_daemon::NodeError;
use maize_daemon::client::Node;
use maize_daemon::message::{NodeStatus, State, Usage};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// So long nodes are waited for. What a node says later is shown the next time.
const PATIENCE: Duration = Duration::from_secs(5);
/// So long the programs of this machine are waited for.
const HERE: Duration = Duration::from_secs(1);

/// What is said at one time.
pub struct Sample {
    /// The nodes, by their names.
    pub nodes: Vec<NodeStatus>,
    /// Their programs, and those that are no node's.
    pub programs: Vec<Measured>,
}

/// What a program uses.
pub struct Measured {
    /// Its node; `None` if it is on none.
    pub node: Option<String>,
    /// What it uses.
    pub usage: Usage,
    /// When that was.
    pub at: Instant,
}

/// What a node has answered.
struct Answer {
    node: String,
    usage: Result<Vec<Usage>, NodeError>,
    at: Instant,
}

/// Asks the nodes, time and again.
pub struct Gatherer {
    /// `None` if this machine has none.
    node: Option<Arc<Node>>,
    /// Those that are to be shown; all if empty.
    names: Vec<String>,
    /// Those that have been asked and have not answered.
    asked: BTreeSet<String>,
    sender: Sender<Answer>,
    receiver: Receiver<Answer>,
}

impl Gatherer {
    /// # Errors
    /// If there is a node that cannot be used, or none although some are named.
    pub fn new(directory: Option<PathBuf>, names: Vec<String>) -> Result<Gatherer, CommandError> {
        let node = match Node::open(directory) {
            Ok(node) => Some(Arc::new(node)),
            Err(NodeError::NotInitialised { .. }) if names.is_empty() => None,
            Err(error) => return Err(error.into()),
        };
        let (sender, receiver) = channel();
        Ok(Gatherer { node, names, asked: BTreeSet::new(), sender, receiver })
    }

    /// Asks all of them.
    ///
    /// # Errors
    /// If nodes are named, and not known or not to be found out about.
    pub fn sample(&mut self) -> Result<Sample, CommandError> {
        let deadline = Instant::now() + PATIENCE;
        let mut nodes = self.nodes()?;
        // It takes until the connection is given up to find out once more that a node is down.
        let up = nodes.iter().filter(|node| node.state != State::Down);
        let up: Vec<String> = up.map(|node| node.name.clone()).collect();
        for name in &up {
            self.ask(name);
        }
        let here = if self.names.is_empty() { here()? } else { Vec::new() };
        let mut answers = self.collect(&up, deadline);
        let mut programs = Vec::new();
        for node in nodes.iter_mut().filter(|node| up.contains(&node.name)) {
            match answers.remove(&node.name) {
                Some(Answer { usage: Ok(usage), at, .. }) => {
                    let name = &node.name;
                    programs.extend(usage.into_iter().map(|usage| Measured { node: Some(name.clone()), usage, at }));
                }
                failed => {
                    let reason = match failed {
                        Some(Answer { usage: Err(error), .. }) => error.to_string(),
                        _ => format!("it has not answered within {} s", PATIENCE.as_secs()),
                    };
                    (node.state, node.reason) = (State::Down, Some(reason));
                }
            }
        }
        add_here(&mut programs, here);
        Ok(Sample { nodes, programs })
    }

    /// The nodes that are to be shown, as this machine's daemon sees them.
    fn nodes(&self) -> Result<Vec<NodeStatus>, CommandError> {
        let Some(node) = &self.node else { return Ok(Vec::new()) };
        let nodes = match node.nodes() {
            Ok(nodes) => nodes,
            Err(error) if self.names.is_empty() => return Ok(vec![silent(node, &error)]),
            Err(error) => return Err(error.into()),
        };
        choose(nodes, &self.names)
    }

    /// Asks a node, unless it has been asked and has not answered yet.
    fn ask(&mut self, name: &str) {
        let Some(node) = &self.node else { return };
        if !self.asked.insert(name.to_owned()) {
            return;
        }
        let (node, sender, name) = (Arc::clone(node), self.sender.clone(), name.to_owned());
        thread::spawn(move || {
            let usage = node.usage(&name);
            // Who has asked may have ended.
            let _ = sender.send(Answer { node: name, usage, at: Instant::now() });
        });
    }

    /// What they answer, until all have, or it is too late.
    fn collect(&mut self, names: &[String], deadline: Instant) -> BTreeMap<String, Answer> {
        let mut answers = BTreeMap::new();
        while names.iter().any(|name| self.asked.contains(name)) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(answer) = self.receiver.recv_timeout(left) else { break };
            self.asked.remove(&answer.node);
            answers.insert(answer.node.clone(), answer);
        }
        answers
    }
}

/// What the programs use that `maize run` has started as this user on this machine.
fn here() -> Result<Vec<Measured>, CommandError> {
    let said = maize_node::statuses(None, HERE)?;
    let at = Instant::now();
    let measured = |(program, status)| Measured { node: None, usage: Usage::of(program, &status), at };
    Ok(said.into_iter().map(measured).collect())
}

/// Adds those that are no node's. Programs of other machines may have their numbers, but not have been started in the same millisecond, too.
fn add_here(programs: &mut Vec<Measured>, here: Vec<Measured>) {
    let name = |one: &Measured| (one.usage.program, one.usage.started_ms);
    let known: BTreeSet<(u32, u64)> = programs.iter().map(name).collect();
    programs.extend(here.into_iter().filter(|one| !known.contains(&name(one))));
}

/// The node of this machine, whose daemon cannot be asked.
fn silent(node: &Node, error: &NodeError) -> NodeStatus {
    let identity = node.identity();
    NodeStatus {
        name: identity.configuration.name.clone(),
        address: identity.configuration.listen.to_string(),
        key: identity.public(),
        state: State::Down,
        reason: Some(error.to_string()),
        report: None,
    }
}

/// Those that are named, or all.
fn choose(nodes: Vec<NodeStatus>, names: &[String]) -> Result<Vec<NodeStatus>, CommandError> {
    if let Some(name) = names.iter().find(|name| !nodes.iter().any(|node| node.name == **name)) {
        let known: Vec<String> = nodes.into_iter().map(|node| node.name).collect();
        return Err(NodeError::UnknownNode { name: name.clone(), known: known.join(", ") }.into());
    }
    Ok(nodes.into_iter().filter(|node| names.is_empty() || names.contains(&node.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(node: Option<&str>, program: u32, started_ms: u64) -> Measured {
        let usage = Usage { program, command: Vec::new(), started_ms, figures: None };
        Measured { node: node.map(String::from), usage, at: Instant::now() }
    }

    #[test]
    fn a_program_of_a_node_is_not_shown_twice() {
        let mut programs = vec![measured(Some("a"), 7, 1000), measured(Some("b"), 8, 1000)];
        add_here(&mut programs, vec![measured(None, 7, 1000), measured(None, 8, 2000), measured(None, 9, 1000)]);
        let shown: Vec<(Option<&str>, u32)> =
            programs.iter().map(|one| (one.node.as_deref(), one.usage.program)).collect();
        assert_eq!(shown, [(Some("a"), 7), (Some("b"), 8), (None, 8), (None, 9)]);
    }

    #[test]
    fn nodes_are_chosen_by_their_names() {
        let node = |name: &str| NodeStatus {
            name: name.into(),
            address: String::new(),
            key: maize_daemon::PublicKey::new([0; 32]),
            state: State::Ready,
            reason: None,
            report: None,
        };
        let chosen = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let nodes = choose(vec![node("a"), node("b")], &names).map_err(|error| error.to_string())?;
            Ok(nodes.into_iter().map(|node| node.name).collect::<String>())
        };
        assert_eq!(chosen(&[]), Ok("ab".into()));
        assert_eq!(chosen(&["b"]), Ok("b".into()));
        assert_eq!(chosen(&["b", "c"]), Err::<String, String>("no node is called c; known: a, b".into()));
    }
}

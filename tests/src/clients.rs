//! Clients of a Redis server: one that fills it and looks whether all is there, and one that counts and notes how long each answer takes.

use crate::seeded::Random;
use anyhow::{Context as _, Result, ensure};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A connection on which nothing comes for so long is lost.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between an answer and the next request of a client that counts.
const PAUSE: Duration = Duration::from_millis(1);
/// Requests that are sent before their answers are read.
const BATCH: usize = 500;

/// An answer to a client.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// When it was asked for, from the beginning of the measurement.
    pub sent: Duration,
    /// How long it took.
    pub took: Duration,
}

fn connect(server: SocketAddr) -> Result<(TcpStream, BufReader<TcpStream>)> {
    let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let answers = BufReader::with_capacity(1 << 20, stream.try_clone()?);
    Ok((stream, answers))
}

/// Adds one to a number at the server, again and again, until it is to stop. Each answer has to be the next number.
///
/// # Errors
/// If the connection is lost, or an answer is wrong.
pub fn count(server: SocketAddr, key: &str, begun: Instant, stop: &AtomicBool) -> Result<Vec<Answer>> {
    let (mut stream, mut answers) = connect(server)?;
    let mut seen = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let sent = begun.elapsed();
        stream.write_all(format!("INCR {key}\r\n").as_bytes())?;
        let mut answer = String::new();
        answers.read_line(&mut answer)?;
        seen.push(Answer { sent, took: begun.elapsed() - sent });
        ensure!(answer == format!(":{}\r\n", seen.len()), "{key}: {answer:?} instead of {}", seen.len());
        thread::sleep(PAUSE);
    }
    Ok(seen)
}

/// The value of a number at the server.
///
/// # Errors
/// If there is none.
pub fn value(server: SocketAddr, key: &str) -> Result<u64> {
    let (mut stream, mut answers) = connect(server)?;
    stream.write_all(format!("GET {key}\r\n").as_bytes())?;
    let (mut length, mut text) = (String::new(), String::new());
    answers.read_line(&mut length)?;
    answers.read_line(&mut text)?;
    text.trim().parse().with_context(|| format!("{key} is {length:?} {text:?}"))
}

/// What is kept under a number: bytes that cannot be compressed, and are the same each time.
fn content(number: usize, size: usize) -> Vec<u8> {
    let mut random = Random(number as u64);
    let mut bytes: Vec<u8> = (0..size.div_ceil(8)).flat_map(|_| random.draw().to_le_bytes()).collect();
    bytes.truncate(size);
    bytes
}

/// Has the server keep so many values of so many bytes each.
///
/// # Errors
/// If it does not.
pub fn fill(server: SocketAddr, count: usize, size: usize) -> Result<()> {
    let (mut stream, mut answers) = connect(server)?;
    for batch in (0..count).step_by(BATCH) {
        let numbers = batch..count.min(batch + BATCH);
        let mut requests = Vec::new();
        for number in numbers.clone() {
            let key = format!("data:{number}");
            write!(requests, "*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${size}\r\n", key.len())?;
            requests.extend(content(number, size));
            requests.extend(b"\r\n");
        }
        stream.write_all(&requests)?;
        for number in numbers {
            let mut answer = String::new();
            answers.read_line(&mut answer)?;
            ensure!(answer == "+OK\r\n", "value {number}: {answer:?}");
        }
    }
    Ok(())
}

/// Looks whether the server has all that [`fill`] gave it.
///
/// # Errors
/// If it does not.
pub fn has_all(server: SocketAddr, count: usize, size: usize) -> Result<()> {
    let (mut stream, mut answers) = connect(server)?;
    for batch in (0..count).step_by(BATCH) {
        let numbers = batch..count.min(batch + BATCH);
        let requests: String = numbers.clone().map(|number| format!("GET data:{number}\r\n")).collect();
        stream.write_all(requests.as_bytes())?;
        for number in numbers {
            let mut head = String::new();
            answers.read_line(&mut head)?;
            ensure!(head == format!("${size}\r\n"), "value {number} begins with {head:?}");
            let mut found = vec![0; size + 2];
            answers.read_exact(&mut found)?;
            ensure!(found[..size] == content(number, size), "value {number} is another one");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_differ_and_are_the_same_each_time() {
        assert_eq!(content(7, 1001).len(), 1001);
        assert_eq!(content(7, 1001), content(7, 1001));
        assert_ne!(content(7, 1001), content(8, 1001));
    }
}

//! Writing a snapshot beside the supervisor, which goes on meanwhile.

use crate::chain::Link;
use crate::departure::{Captured, Carry};
use crate::describe::Source;
use crate::draft::Draft;
use crate::network::Carried;
use crate::precopy::{Precopy, Send};
use crate::processes::Id;
use crate::remaining::Remaining;
use crate::terminal::Taken;
use crate::worker::Worker;
use maize_abi::control::{ABSENT, Run};
use maize_snapshot::{CHUNK, Image, Metadata, SnapshotError, Writer};
use rustix::process::Pid;
use std::fs::File;
use std::io::{self, Write};
use std::mem;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;

/// All that a snapshot is made of.
pub(crate) struct Parts {
    pub(crate) metadata: Metadata,
    /// Of each process.
    pub(crate) memories: Vec<Memory>,
    /// What has been sent ahead of regions that processes have kept.
    pub(crate) precopy: Precopy,
    /// What was read of such regions when the program had stopped.
    pub(crate) captured: Vec<(Id, Image)>,
    /// What of such regions may be sent when the program runs elsewhere, if that is wanted.
    pub(crate) remaining: Option<Remaining>,
    pub(crate) sources: Vec<Source>,
    /// What goes along only to another node.
    pub(crate) carried: Carried,
    /// What was taken out of its terminals.
    pub(crate) terminals: Vec<Taken>,
}

/// What a process has handed over of its memory.
pub(crate) struct Memory {
    /// Pages of the regions that it has not kept, then tables.
    file: File,
    pages: u64,
    pub(crate) tables: Vec<u8>,
    /// Regions that it has kept.
    kept: Vec<Range<u64>>,
}

impl Memory {
    /// From the file, and the numbers that came with it (`Kind::State`).
    pub(crate) fn new(file: File, [_, runs, _, pages, ..]: [u64; 8]) -> io::Result<Memory> {
        let runs_size = runs.saturating_mul(size_of::<Run>() as u64);
        let size = file.metadata()?.len().checked_sub(pages).filter(|&size| size >= runs_size);
        let less = || io::Error::other("a process has handed over less than it said");
        let mut tables = vec![0; usize::try_from(size.ok_or_else(less)?).map_err(io::Error::other)?];
        file.read_exact_at(&mut tables, pages)?;
        let (runs, _) = tables[tables.len() - runs_size as usize..].as_chunks::<{ size_of::<Run>() }>();
        let runs = runs.iter().map(Run::from_bytes).filter(|run| run.offset == ABSENT);
        let kept = runs.map(|run| run.address..run.address.saturating_add(run.length));
        Ok(Memory { file, pages, kept: kept.collect(), tables })
    }
}

impl Parts {
    /// Copies what has still to be read from the processes, so that they can run on.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn capture(&mut self) -> Result<(), SnapshotError> {
        let mut captured = Vec::new();
        self.finish(&mut |process, image| {
            captured.push((process, mem::take(image)));
            Ok(())
        })?;
        self.captured = captured;
        Ok(())
    }

    /// Gives `send` what has still to be read from the processes.
    fn finish(&mut self, send: &mut Send<'_>) -> Result<(), SnapshotError> {
        let Parts { metadata, memories, precopy, remaining, .. } = self;
        let mut kept = Vec::new();
        for (process, memory) in
            metadata.processes.iter_mut().zip(memories).filter(|(_, memory)| !memory.kept.is_empty())
        {
            let changes = precopy.changes(process.id, &mem::take(&mut memory.kept))?;
            kept.push((process, memory, changes));
        }
        let size = kept.iter().map(|(.., changes)| changes.size()).sum();
        let mut remaining = remaining.as_mut().filter(|_| precopy.takes_long(size));
        for (process, memory, changes) in kept {
            let image = match &mut remaining {
                Some(remaining) => precopy.leave(process.id, &changes, remaining)?,
                None => precopy.finish(process.id, &changes, send)?,
            };
            for run in &image {
                let run = Run { address: run.start, length: run.end - run.start, offset: ABSENT };
                memory.tables.extend(run.to_bytes());
            }
            (process.image, process.tables) = (image.len() as u64, memory.tables.len() as u64);
        }
        Ok(())
    }
}

/// What has been written.
#[derive(Default)]
pub(crate) struct Written {
    /// The file, if it is one.
    pub(crate) link: Option<Link>,
    /// What knows which pages have been changed since.
    pub(crate) precopy: Precopy,
}

/// A snapshot being written.
pub(crate) type Writing = Worker<Result<Written, String>>;

/// Begins to write one to a file, under whose name it is when it is done.
pub(crate) fn write_file(mut parts: Parts, mut draft: Draft) -> io::Result<Writing> {
    let cancelled = draft.cancelled();
    Worker::begin(Some(cancelled), move || {
        let written = write_parts(&mut parts, draft.writer());
        let link = written.and_then(|bytes| draft.publish(bytes)).map_err(|error| draft.failed(&error))?;
        parts.terminals.iter_mut().for_each(Taken::leave);
        Ok(Written { link: Some(link), precopy: parts.precopy })
    })
}

/// Begins to give one to who takes it away.
pub(crate) fn carry_away(parts: Parts, hosts: Vec<Pid>, carry: Carry) -> io::Result<Writing> {
    Worker::begin(None, move || {
        let mut captured = Captured { parts, hosts };
        carry(Ok(&mut captured))?;
        captured.parts.carried.leave();
        captured.parts.terminals.iter_mut().for_each(Taken::leave);
        Ok(Written { link: None, precopy: Precopy::default() })
    })
}

/// Writes all that has not been written yet; returns how many bytes it has.
pub(crate) fn write_parts<W: Write>(parts: &mut Parts, writer: &mut Writer<W>) -> Result<u64, SnapshotError> {
    for (process, image) in parts.captured.drain(..) {
        writer.image(process, &image)?;
    }
    parts.finish(&mut |process, image| writer.image(process, image))?;
    writer.metadata(&parts.metadata)?;
    let mut buffer = vec![0; CHUNK];
    for (index, memory) in parts.memories.iter().enumerate() {
        writer.tables(index, &memory.tables)?;
        each_chunk(&memory.file, memory.pages, &mut buffer, |start, bytes| writer.pages(index, start, bytes))?;
    }
    for (index, source) in parts.sources.iter().enumerate() {
        match source {
            Source::Bytes(bytes) => {
                for (number, chunk) in bytes.chunks(CHUNK).enumerate() {
                    writer.content(index, (number * CHUNK) as u64, chunk)?;
                }
            }
            Source::File(file, size) => {
                let file = as_file(file)?;
                each_chunk(&file, *size, &mut buffer, |start, bytes| writer.content(index, start, bytes))?;
            }
        }
    }
    writer.end()
}

fn as_file(descriptor: &OwnedFd) -> io::Result<File> {
    descriptor.try_clone().map(File::from)
}

fn each_chunk(
    file: &File,
    size: u64,
    buffer: &mut [u8],
    mut each: impl FnMut(u64, &[u8]) -> Result<(), SnapshotError>,
) -> Result<(), SnapshotError> {
    let mut start = 0;
    while start < size {
        let length = usize::try_from(size - start).unwrap_or(CHUNK).min(CHUNK);
        let chunk = &mut buffer[..length];
        file.read_exact_at(chunk, start)?;
        each(start, chunk)?;
        start += length as u64;
    }
    Ok(())
}

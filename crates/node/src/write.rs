//! Writing a snapshot beside the supervisor, which goes on meanwhile. The file takes its name when it is whole and on disk: until then an
//! older one stays as it is.

use crate::checkpoint::Goal;
use crate::departure::Captured;
use crate::describe::Source;
use maize_snapshot::{CHUNK, Metadata, SnapshotError, Writer};
use rustix::process::Pid;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// Zstandard's level: memory of programs gets little smaller at higher ones, and the program waits.
const LEVEL: i32 = 1;
/// Bytes written at a time.
const BUFFER: usize = 1 << 20;

/// All that a snapshot is made of.
pub(crate) struct Parts {
    pub(crate) metadata: Metadata,
    /// The memory file of each process: pages, then tables.
    pub(crate) memories: Vec<File>,
    pub(crate) sources: Vec<Source>,
}

/// A snapshot being written.
pub(crate) struct Writing {
    done: io::PipeReader,
    result: Receiver<Result<u64, String>>,
}

impl Writing {
    /// Begins.
    pub(crate) fn begin(parts: Parts, hosts: Vec<Pid>, to: &mut Goal) -> io::Result<Writing> {
        let (done, ending) = io::pipe()?;
        let (sender, result) = channel();
        let body: Box<dyn FnOnce() -> Result<u64, String> + Send> = match to {
            Goal::File(path) => {
                let path = path.clone();
                Box::new(move || {
                    write(&parts, &path).map_err(|error| format!("cannot write {}: {error}", path.display()))
                })
            }
            Goal::Away(carry) => {
                let carry = carry.take().ok_or(io::ErrorKind::InvalidInput)?;
                Box::new(move || carry(Ok(&Captured { parts, hosts })).map(|()| 0))
            }
        };
        thread::Builder::new().name(String::from("snapshot")).spawn(move || {
            let written = body();
            // Whoever waits for it may have gone.
            let _ = sender.send(written);
            drop(ending);
        })?;
        Ok(Writing { done, result })
    }

    /// Becomes readable when it is done.
    pub(crate) fn done(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }

    /// How many bytes it has, or why there is none; nothing if it is not done yet.
    pub(crate) fn result(&self) -> Option<Result<u64, String>> {
        self.result.try_recv().ok()
    }
}

fn write(parts: &Parts, path: &Path) -> Result<u64, SnapshotError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = directory.join(format!(".{name}.{}", std::process::id()));
    let result = write_to(parts, &temporary).and_then(|size| {
        fs::rename(&temporary, path)?;
        File::open(directory)?.sync_all()?;
        Ok(size)
    });
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

fn write_to(parts: &Parts, path: &Path) -> Result<u64, SnapshotError> {
    // One that was left by a process with this id, which was killed.
    let _ = fs::remove_file(path);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let (output, size) = write_parts(parts, BufWriter::with_capacity(BUFFER, file))?;
    let file = output.into_inner().map_err(|error| error.into_error())?;
    file.sync_all()?;
    Ok(size)
}

/// Writes all of it; returns what it was written to, and how many bytes it has.
pub(crate) fn write_parts<W: Write>(parts: &Parts, output: W) -> Result<(W, u64), SnapshotError> {
    let mut writer = Writer::new(output, LEVEL, &parts.metadata)?;
    let mut buffer = vec![0; CHUNK];
    for (index, (process, memory)) in parts.metadata.processes.iter().zip(&parts.memories).enumerate() {
        let mut tables = vec![0; usize::try_from(process.tables).unwrap_or(0)];
        memory.read_exact_at(&mut tables, process.pages)?;
        writer.tables(index, &tables)?;
        each_chunk(memory, process.pages, &mut buffer, |start, bytes| writer.pages(index, start, bytes))?;
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
    writer.finish()
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

//! What a detached program has written: records of time (microseconds since 1970, u64), stream (1 or 2, u8), length (u32) and bytes, little-endian, in two files. The
//! current one becomes the old one when it is full, so that a program that writes forever does not fill the disk.

use crate::directory::has_no_room;
use crate::message::{LogRecord, Stream};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const CURRENT: &str = "log";
const OLD: &str = "log.old";
/// The most bytes of one of the two files.
const FULL: u64 = 32 << 20;
const HEADER: usize = 13;

/// The side of the shim.
pub(super) struct Writer {
    program: PathBuf,
    file: File,
    length: u64,
    full: u64,
    /// Of the last record. Times do not go back, even if a program comes to a machine whose clock is behind.
    last_us: u64,
    /// What there was no room for yet.
    waiting: Vec<u8>,
}

fn create(program: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).mode(0o600).open(program.join(CURRENT))
}

impl Writer {
    pub(super) fn create(program: &Path) -> io::Result<Writer> {
        Ok(Writer {
            program: program.to_owned(),
            file: create(program)?,
            length: 0,
            full: FULL,
            last_us: 0,
            waiting: Vec::new(),
        })
    }

    /// Adds what a program writes now. If there is no room for it, it waits for [`Writer::flush`].
    pub(super) fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        self.add(u64::try_from(now).unwrap_or(u64::MAX), stream, bytes)
    }

    /// Adds a record of another log.
    pub(super) fn copy(&mut self, record: &LogRecord) -> io::Result<()> {
        self.add(record.time_us, record.stream, &record.bytes)
    }

    fn add(&mut self, time_us: u64, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        self.last_us = self.last_us.max(time_us);
        if self.length > self.full && self.waiting.is_empty() {
            match self.turn() {
                // It grows a little longer.
                Err(error) if has_no_room(&error) => {}
                result => result?,
            }
        }
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.waiting.extend_from_slice(&self.last_us.to_le_bytes());
        self.waiting.push(if stream == Stream::Output { 1 } else { 2 });
        self.waiting.extend_from_slice(&length.to_le_bytes());
        self.waiting.extend_from_slice(bytes);
        self.flush()
    }

    /// Begins another file.
    fn turn(&mut self) -> io::Result<()> {
        match fs::rename(self.program.join(CURRENT), self.program.join(OLD)) {
            // There was no room for the new one before.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
        self.file = create(&self.program)?;
        self.length = 0;
        Ok(())
    }

    /// Writes what there was no room for. A reader sees all of a record, or what is not yet one.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while !self.waiting.is_empty() {
            match self.file.write(&self.waiting) {
                Ok(length) => {
                    self.waiting.drain(..length);
                    self.length += length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The side of who wants to know.
pub(crate) struct Reader {
    program: PathBuf,
    file: File,
    /// What has been read of the file but is no record yet.
    rest: Vec<u8>,
    /// The old file is being read.
    is_old: bool,
}

impl Reader {
    /// Begins with the oldest record there is.
    pub(crate) fn open(program: &Path) -> io::Result<Reader> {
        let old = File::open(program.join(OLD));
        let is_old = old.is_ok();
        let file = old.or_else(|_| File::open(program.join(CURRENT)))?;
        Ok(Reader { program: program.to_owned(), file, rest: Vec::new(), is_old })
    }

    /// The next record, if there is one yet.
    pub(crate) fn next(&mut self) -> io::Result<Option<LogRecord>> {
        loop {
            if let Some(record) = self.take() {
                return Ok(Some(record));
            }
            let mut buffer = [0; 1 << 14];
            let length = self.file.read(&mut buffer)?;
            self.rest.extend_from_slice(&buffer[..length]);
            if length == 0 && !self.turn()? {
                return Ok(None);
            }
        }
    }

    fn take(&mut self) -> Option<LogRecord> {
        let (header, rest) = self.rest.split_first_chunk::<HEADER>()?;
        let (time, header) = header.split_first_chunk::<8>()?;
        let length = u32::from_le_bytes(header[1..].try_into().ok()?) as usize;
        let bytes = rest.get(..length)?.to_vec();
        let stream = if header[0] == 1 { Stream::Output } else { Stream::Error };
        let record = LogRecord { time_us: u64::from_le_bytes(*time), stream, bytes };
        self.rest.drain(..HEADER + length);
        Some(record)
    }

    /// Goes on with the current file, if this one has become the old one and is read to its end.
    fn turn(&mut self) -> io::Result<bool> {
        let current = match File::open(self.program.join(CURRENT)) {
            Ok(file) => file,
            // It is being replaced.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let is_same = current.metadata()?.ino() == self.file.metadata()?.ino();
        if is_same && !self.is_old {
            return Ok(false);
        }
        let mut late = Vec::new();
        self.file.read_to_end(&mut late)?;
        self.rest.extend_from_slice(&late);
        (self.file, self.is_old) = (current, false);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_gets_what_was_written_across_the_change_of_files() {
        let temporary = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(temporary.path()).unwrap();
        writer.full = 1000;
        let mut reader = Reader::open(temporary.path()).unwrap();
        let mut read = Vec::new();
        let mut time = 0;
        for number in 0..1000_u32 {
            let stream = if number % 3 == 0 { Stream::Error } else { Stream::Output };
            writer.write(stream, number.to_string().as_bytes()).unwrap();
            // Behind by up to 20 records, which is less than a file.
            while number % 20 == 19
                && let Some(record) = reader.next().unwrap()
            {
                assert!(record.time_us >= time);
                time = record.time_us;
                read.push((record.stream, String::from_utf8(record.bytes).unwrap()));
            }
        }
        let expected: Vec<(Stream, String)> = (0..1000_u32)
            .map(|number| (if number % 3 == 0 { Stream::Error } else { Stream::Output }, number.to_string()))
            .collect();
        assert_eq!(read, expected);
        let late: Vec<LogRecord> = std::iter::from_fn({
            let mut reader = Reader::open(temporary.path()).unwrap();
            move || reader.next().unwrap()
        })
        .collect();
        assert_eq!(late.last().unwrap().bytes, b"999");
        let size = |name| fs::metadata(temporary.path().join(name)).map_or(0, |metadata| metadata.len());
        assert!(size(CURRENT) <= 1100 && size(OLD) <= 1100, "the limit of the log");
    }

    #[test]
    fn what_there_was_no_room_for_is_written_later() {
        let temporary = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(temporary.path()).unwrap();
        let mut reader = Reader::open(temporary.path()).unwrap();
        let file = std::mem::replace(&mut writer.file, OpenOptions::new().write(true).open("/dev/full").unwrap());
        assert!(has_no_room(&writer.write(Stream::Output, b"one").unwrap_err()));
        assert!(has_no_room(&writer.write(Stream::Error, b"two").unwrap_err()));
        assert!(has_no_room(&writer.flush().unwrap_err()));
        writer.file = file;
        writer.flush().unwrap();
        let read: Vec<Vec<u8>> = std::iter::from_fn(|| reader.next().unwrap()).map(|record| record.bytes).collect();
        assert_eq!(read, [b"one", b"two"]);
    }

    #[test]
    fn half_a_record_is_none_yet() {
        let temporary = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(temporary.path()).unwrap();
        writer.write(Stream::Output, b"one").unwrap();
        let mut reader = Reader::open(temporary.path()).unwrap();
        assert_eq!(reader.next().unwrap().unwrap().bytes, b"one");
        writer.file.write_all(&[0; HEADER - 1]).unwrap();
        assert!(reader.next().unwrap().is_none());
        writer.file.write_all(&[0]).unwrap();
        assert_eq!(reader.next().unwrap().unwrap().bytes, b"");
    }
}

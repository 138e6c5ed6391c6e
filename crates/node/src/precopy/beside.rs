//! Reading a program's memory while what has been read is written.

use super::Send;
use crate::processes::Id;
use maize_snapshot::{Image, SnapshotError, Writer};
use std::io::{self, Write};
use std::mem;
use std::panic::resume_unwind;
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

/// Has `read` give images to a thread that writes them. Returns what `read` returns, when all have been written.
///
/// # Errors
/// If there can be no thread, the images cannot be written, or `read` fails.
pub(super) fn written_beside<W: Write + std::marker::Send>(
    writer: &mut Writer<W>,
    read: impl FnOnce(&mut Send<'_>) -> Result<u64, SnapshotError>,
) -> Result<u64, SnapshotError> {
    let (images, full) = sync_channel::<(Id, Image)>(1);
    let (emptied, empty) = channel();
    thread::scope(|scope| {
        let write = move || -> Result<(), SnapshotError> {
            for (id, mut image) in full {
                writer.image(id, &image)?;
                image.clear();
                // There may be no more to read.
                let _ = emptied.send(image);
            }
            Ok(())
        };
        let writing = thread::Builder::new().name(String::from("writer")).spawn_scoped(scope, write)?;
        let result = read(&mut |id, image| {
            let image = mem::replace(image, empty.try_recv().unwrap_or_default());
            // Why it does not write any more, it says itself.
            images.send((id, image)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe).into())
        });
        drop(images);
        writing.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        result
    })
}

//! Waiting for many bytes of a socket. Who is woken for each packet of a fast stream spends more time on that than on what has come, and so does, by as many interrupts to
//! another processor, who sends it on the same machine.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;

/// Then what has come is enough: the link is slow, or the kernel has no room for more.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Waits until so many bytes can be read, for 0.1 s at most.
pub(super) fn wait(socket: &TcpStream, bytes: usize) -> io::Result<()> {
    wake_at(socket, bytes)?;
    // Whatever this says, reading tells.
    let _ = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&PATIENCE));
    // Reading itself would wait for as many again behind what it has taken already.
    wake_at(socket, 1)
}

/// Has the kernel wake who waits for this socket when that many bytes can be read.
fn wake_at(socket: &TcpStream, bytes: usize) -> io::Result<()> {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    // SAFETY: the option is as long as is said.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const bytes).cast(),
            size_of_val(&bytes) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

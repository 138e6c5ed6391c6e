//! Noticing that the other machine is gone although the connection has not been closed. The kernel asks it for a sign of life every few seconds, and
//! its kernel answers, whether or not the process there does anything. What the kernel concludes by itself is not enough: while one's own cable is unplugged
//! it takes its questions for lost on this side, and asks forever.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

/// After so long a silence the kernel begins to ask, ...
const IDLE: Duration = Duration::from_secs(10);
/// ... and asks again so often.
const INTERVAL: Duration = Duration::from_secs(5);
/// Who has not answered for so long is gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// Has the kernel ask for signs of life.
pub(super) fn ask(socket: &TcpStream) -> rustix::io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, IDLE)?;
    sockopt::set_tcp_keepintvl(socket, INTERVAL)?;
    sockopt::set_tcp_keepcnt(socket, 4)
}

/// Reads a socket as long as there are signs of life.
pub(super) struct Watched<'a>(pub(super) &'a TcpStream);

impl Read for Watched<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let interval = Timespec { tv_sec: INTERVAL.as_secs().cast_signed(), tv_nsec: 0 };
        loop {
            match poll(&mut [PollFd::new(self.0, PollFlags::IN)], Some(&interval)) {
                Ok(0) if silence(self.0)? > PATIENCE => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "no sign of life"));
                }
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.0.read(bytes),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// How long ago the other kernel has last confirmed something.
fn silence(socket: &TcpStream) -> io::Result<Duration> {
    let mut information = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `information`, which has as many.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            information.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is made of integers, for which zeros and whatever the kernel wrote are valid.
    let information = unsafe { information.assume_init() };
    Ok(Duration::from_millis(information.tcpi_last_ack_recv.into()))
}

//! Keeping new connections from sockets that listen, while a program is on its way: segments that begin one are dropped, and whoever sent them sends them again after a
//! second. Connections that wait to be accepted cannot be taken along, so for this time there are to be none.

use crate::sockets::option::set_number;
use crate::sockets::{Sort, TCP_LISTEN, TcpInfo};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::fs;
use std::io;
use std::mem::size_of_val;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

/// Drops what has SYN in the flags of its TCP header, and accepts anything else (classic BPF).
const PROGRAM: [libc::sock_filter; 4] = [
    libc::sock_filter { code: 0x30, jt: 0, jf: 0, k: 13 }, // the byte at 13
    libc::sock_filter { code: 0x45, jt: 1, jf: 0, k: 2 },  // is SYN in it?
    libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: u32::MAX },
    libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 },
];

/// Sockets that let nobody in. Dropped, they do again.
#[derive(Default)]
pub(crate) struct Gate(Vec<OwnedFd>);

impl Gate {
    /// Closes those of processes, as far as that is permitted.
    pub(crate) fn of(processes: impl Iterator<Item = Pid>) -> Gate {
        let mut gate = Gate::default();
        for id in processes {
            let Ok(process) = pidfd_open(id, PidfdFlags::empty()) else { continue };
            let entries = fs::read_dir(format!("/proc/{}/fd", id.as_raw_nonzero())).into_iter().flatten().flatten();
            for entry in entries {
                let is_socket =
                    fs::read_link(entry.path()).is_ok_and(|link| link.to_string_lossy().starts_with("socket:"));
                let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()).filter(|_| is_socket)
                else {
                    continue;
                };
                if let Ok(socket) = pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) {
                    // What cannot be closed stays open, and may reset who waits there.
                    let _ = gate.close(socket.as_fd());
                }
            }
        }
        gate
    }

    /// Closes a socket, if it listens for TCP and does not filter itself.
    pub(crate) fn close(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        if !Sort::of(socket)?.is_tcp() || TcpInfo::of(socket)?.state != TCP_LISTEN {
            return Ok(());
        }
        attach(socket)?;
        self.0.push(socket.try_clone_to_owned()?);
        Ok(())
    }

    /// Whether connections wait that nobody has accepted yet.
    pub(crate) fn is_crowded(&self) -> bool {
        self.0.iter().any(|socket| TcpInfo::of(socket.as_fd()).is_ok_and(|info| info.waiting() > 0))
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        for socket in &self.0 {
            // The kernel ignores the number. Without a filter there is nothing to detach.
            let _ = set_number(socket.as_fd(), libc::SOL_SOCKET, libc::SO_DETACH_FILTER, 0);
        }
    }
}

fn attach(socket: BorrowedFd<'_>) -> io::Result<()> {
    let mut program = PROGRAM;
    let filter = libc::sock_fprog { len: PROGRAM.len() as libc::c_ushort, filter: program.as_mut_ptr() };
    let length = size_of_val(&filter) as libc::socklen_t;
    // SAFETY: the kernel reads the structure, and so many instructions where it says.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const filter).cast(),
            length,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    #[test]
    fn nobody_comes_in_while_it_is_closed_and_everybody_after() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut gate = Gate::default();
        gate.close(listener.as_fd()).unwrap();
        TcpStream::connect_timeout(&address, Duration::from_millis(50)).unwrap_err();
        assert!(!gate.is_crowded());
        drop(gate);
        let _client = TcpStream::connect(address).unwrap();
        poll(&mut [PollFd::new(&listener, PollFlags::IN)], None).unwrap();
        let mut gate = Gate::default();
        gate.close(listener.as_fd()).unwrap();
        assert!(gate.is_crowded());
        listener.accept().unwrap();
        assert!(!gate.is_crowded());
    }
}

use super::*;
use crate::describe::identity;
use maize_snapshot::Typed;
use rustix::pty::openpt;
use rustix::termios::{LocalModes, SpecialCodeIndex};
use std::io::{Read as _, Write as _};

fn new() -> (OwnedFd, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    lock(&master, false).unwrap();
    let slave = slave(&master).unwrap();
    (master, slave)
}

fn identity_of(end: &OwnedFd) -> [u64; 2] {
    identity(&fstat(end).unwrap())
}

fn read(end: impl AsFd) -> Vec<u8> {
    let mut bytes = [0; 16384];
    for _ in 0..LOOKS {
        if state_now(&end, PollFlags::IN).contains(PollFlags::IN) {
            break;
        }
        thread::sleep(GLANCE);
    }
    let length = rustix::io::read(&end, &mut bytes).unwrap();
    bytes[..length].to_vec()
}

/// Reads so much from a side that is in packet mode, in one piece or several.
fn read_packets(end: impl AsFd, expected: &[u8]) {
    let mut found = Vec::new();
    while found.len() < expected.len() {
        let packet = read(&end);
        assert_eq!(packet[0], 0);
        found.extend_from_slice(&packet[1..]);
    }
    assert_eq!(found, expected);
}

/// Types into it and writes into its other side, when the former has been echoed in so many bytes.
fn fill(master: &OwnedFd, slave: &OwnedFd, typed: &[u8], echoed: u64, written: &[u8]) {
    rustix::io::write(master, typed).unwrap();
    while rustix::io::ioctl_fionread(master).unwrap() < echoed {
        std::thread::yield_now();
    }
    rustix::io::write(slave, written).unwrap();
}

#[test]
fn what_is_in_it_is_in_the_new_one_once_or_in_the_old_one_again() {
    let _alone = crate::reopen::alone_with_descriptors();
    let (master, slave) = new();
    tcsetwinsize(&slave, Winsize { ws_row: 7, ws_col: 70, ws_xpixel: 3, ws_ypixel: 4 }).unwrap();
    fill(&master, &slave, b"one\ntwo", 8, b"said\n");
    set(&master, libc::TIOCPKT, true).unwrap();
    assert_eq!(obstacle(master.as_fd(), &[identity_of(&slave)]).unwrap(), None);
    let taken = Taken::take(master.try_clone().unwrap()).unwrap();
    let (terminal, written) = (taken.told().0.clone(), taken.told().1.to_vec());
    assert_eq!(written, b"one\r\ntwosaid\r\n");
    assert_eq!(terminal.state.typed, [Typed::Line(b"one\n".into()), Typed::Begun(b"two".into())]);
    assert!(terminal.packets && !terminal.locked && !terminal.exclusive);
    assert!(!state_now(&master, PollFlags::IN).contains(PollFlags::IN));
    drop(taken);
    let (other, other_slave) = make(&Terminal { locked: true, exclusive: true, ..terminal }, &written).unwrap();
    settle(&other, &other_slave, &Terminal { locked: true, exclusive: true, packets: true, ..Terminal::default() })
        .unwrap();
    assert_eq!([get(&other, libc::TIOCGPTLCK).unwrap(), get(&other_slave, libc::TIOCGEXCL).unwrap()], [1, 1]);
    for (master, slave) in [(master, slave), (other, other_slave)] {
        assert_eq!(tcgetwinsize(&slave).unwrap().ws_xpixel, 3);
        assert_eq!(read(&slave), b"one\n");
        read_packets(&master, b"one\r\ntwosaid\r\n");
        File::from(master.try_clone().unwrap()).write_all(b"\x7f\n").unwrap();
        assert_eq!(read(&slave), b"tw\n");
        read_packets(&master, b"\x08 \x08\r\n");
        let modes = tcgetattr(&slave).unwrap();
        assert!(modes.local_modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
        assert!(modes.output_modes.contains(OutputModes::OPOST) && modes.special_codes[SpecialCodeIndex::VMIN] == 1);
    }
}

#[test]
fn as_much_as_a_terminal_holds_goes_into_another_one() {
    let _alone = crate::reopen::alone_with_descriptors();
    let (master, slave) = new();
    let mut modes = tcgetattr(&slave).unwrap();
    modes.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &modes).unwrap();
    fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK).unwrap();
    let fill = |end: &OwnedFd| {
        let (mut sent, mut looks) = (Vec::new(), 0);
        while looks < 50 {
            let piece: Vec<u8> = (0..100).map(|byte: u8| byte.wrapping_mul(7).wrapping_add(sent.len() as u8)).collect();
            match rustix::io::write(end, &piece) {
                Ok(length) => sent.extend_from_slice(&piece[..length]),
                Err(_) => {
                    looks += 1;
                    thread::sleep(GLANCE);
                }
            }
        }
        sent
    };
    let (typed, written) = (fill(&master), fill(&slave));
    assert!(typed.len() > 4095 && written.len() > 4095, "{} and {}", typed.len(), written.len());
    let taken = Taken::take(master.try_clone().unwrap()).unwrap();
    let (terminal, found) = taken.told();
    assert_eq!(found, written);
    let (other, other_slave) = make(terminal, found).unwrap();
    drop(taken);
    for (master, slave) in [(master, slave), (other, other_slave)] {
        for (end, expected) in [(slave, &typed), (master, &written)] {
            let mut found = Vec::new();
            while found.len() < expected.len() {
                found.extend(read(&end));
            }
            assert!(found == *expected, "{} of {}", found.len(), expected.len());
        }
    }
}

#[test]
fn what_cannot_go_along_is_found_and_nothing_is_changed() {
    let _alone = crate::reopen::alone_with_descriptors();
    let (master, slave) = new();
    let own = [identity_of(&slave)];
    let not_now = |result: io::Result<Option<Obstacle>>, words: &str| match result.unwrap() {
        Some(Obstacle::NotNow(reason)) => assert!(reason.contains(words), "{reason}"),
        other => panic!("{other:?}"),
    };
    assert_eq!(obstacle(master.as_fd(), &[[1, 2]]).unwrap(), Some(Obstacle::Never(FOREIGN.to_owned())));
    not_now(obstacle(master.as_fd(), &[]), "opened");
    let fresh = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    not_now(obstacle(fresh.as_fd(), &[]), "opened");
    assert!(!is_hung_up(&fresh));
    rustix::termios::tcflow(&slave, rustix::termios::Action::OOff).unwrap();
    not_now(obstacle(master.as_fd(), &own), "stopped");
    rustix::termios::tcflow(&slave, rustix::termios::Action::OOn).unwrap();
    File::from(master.try_clone().unwrap()).write_all(&[b'\n'; 4000]).unwrap();
    assert_eq!(read(&slave).len(), 1);
    // As many are handed on as the other side has room for echoes of, when the kernel comes to it.
    while rustix::io::ioctl_fionread(&slave).unwrap() <= MUCH {
        thread::sleep(GLANCE);
    }
    not_now(obstacle(master.as_fd(), &own), "more has been typed");
    drop(slave);
    let mut echoed = [0; 64];
    File::from(master.try_clone().unwrap()).read_exact(&mut echoed).unwrap();
    assert!(is_hung_up(&master));
}

//! Calls of many kinds, most of which are given numbers and flat structures only: what has no addresses in it is plain, so that it is known which memory the kernel uses.

/// Whether what an `ioctl` is given has no addresses in it: what any terminal, pipe or socket answers (ioctl_tty(2)), but for `TIOCLINUX`, and `SIOCATMARK`.
pub const fn is_plain_request(request: u32) -> bool {
    const TERMINALS: u32 = 0x54;
    let (kind, number) = (request >> 8 & 0xff, request & 0xff);
    kind == TERMINALS && number < 0x60 && number != 0x1c || request == 0x8905
}

/// Whether the value of a socket's option has no addresses in it, and its length is in bytes: all of the socket's own but filters, of TCP's but zero-copy receiving, and of IP's but those for
/// filters of packets (socket(7), tcp(7), ip(7), ipv6(7)).
pub const fn is_plain_option(level: u32, name: u32) -> bool {
    match level {
        // SO_ATTACH_FILTER, SO_ATTACH_REUSEPORT_CBPF
        1 => name != 26 && name != 51,
        // TCP_ZEROCOPY_RECEIVE
        6 => name != 35,
        0 | 41 => name < 64,
        _ => false,
    }
}

/// Whether a `prctl` uses at most a name: the signal at the parent's end, dumps, capabilities, names, timer slack, reaping, new privileges, huge pages (prctl(2)).
pub const fn is_plain_control(option: u32) -> bool {
    matches!(option, 1..=4 | 7 | 8 | 15 | 16 | 23 | 24 | 29 | 30 | 36..=39 | 41 | 42)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_addresses_in_it_is_not_plain() {
        // FIONREAD, TCGETS, TIOCGPTN; TUNSETIFF, TIOCLINUX, SIOCGIFCONF.
        assert!([0x541b, 0x5401, 0x8004_5430].into_iter().all(is_plain_request));
        assert!(![0x4004_54ca, 0x541c, 0x8912].into_iter().any(is_plain_request));
        // SO_ERROR, TCP_NODELAY, IPV6_V6ONLY; SO_ATTACH_FILTER, IPT_SO_SET_REPLACE, and those of netlink.
        assert!([[1, 4], [6, 1], [41, 26]].into_iter().all(|[level, name]| is_plain_option(level, name)));
        assert!(![[1, 26], [0, 64], [270, 1]].into_iter().any(|[level, name]| is_plain_option(level, name)));
        // PR_SET_NAME; PR_SET_SECCOMP, PR_SET_MM.
        assert!(is_plain_control(15) && !is_plain_control(22) && !is_plain_control(35));
    }
}

//! An address that a program has by itself, and takes along: it is added to an interface of the node where the program is, by the kernel's rtnetlink(7).

use crate::netlink;
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use rustix::thread::{CapabilitySet, capabilities};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::str::FromStr;

/// `10.9.0.100/24`, or `10.9.0.100/24%eth0`: an address, how much of it names its network, and the interface that is to have it. Without one it is that which has an address of the same network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Bits of the network.
    pub prefix: u8,
    /// The interface, if it is named.
    pub interface: Option<String>,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        let wrong = || format!("{text} is no address with its network; 10.9.0.100/24 and 10.9.0.100/24%eth0 are");
        let (address, interface) = text.split_once('%').map_or((text, None), |(address, name)| (address, Some(name)));
        let (ip, prefix) = address.split_once('/').ok_or_else(wrong)?;
        let (ip, prefix): (IpAddr, u8) = (ip.parse().map_err(|_| wrong())?, prefix.parse().map_err(|_| wrong())?);
        let is_possible = prefix <= if ip.is_ipv4() { 32 } else { 128 };
        if !is_possible || ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() || interface == Some("") {
            return Err(wrong());
        }
        Ok(Address { ip, prefix, interface: interface.map(str::to_owned) })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.ip, self.prefix)?;
        self.interface.as_ref().map_or(Ok(()), |name| write!(formatter, "%{name}"))
    }
}

/// An address that this machine has.
struct Present {
    index: u32,
    ip: IpAddr,
}

fn bits(ip: IpAddr) -> (u128, u8) {
    match ip {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)) << 96, 32),
        IpAddr::V6(ip) => (u128::from(ip), 128),
    }
}

impl Address {
    /// Whether another address is of the same network.
    fn is_of_network(&self, other: IpAddr) -> bool {
        let ((own, own_size), (other, size)) = (bits(self.ip), bits(other));
        own_size == size && (self.prefix == 0 || (own ^ other) >> (128 - u32::from(self.prefix)) == 0)
    }

    /// What keeps this machine from having it, for people.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        let has = capabilities(None)
            .is_ok_and(|sets| sets.effective.contains(CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW));
        if !has {
            return Some(format!(
                "{self}: this node may not give programs addresses of their own: it takes CAP_NET_ADMIN and CAP_NET_RAW \
                 (in its unit: AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW)"
            ));
        }
        self.index().err()
    }

    /// The interface that is to have it, which does not have it yet.
    pub(crate) fn index(&self) -> Result<u32, String> {
        let present =
            present().map_err(|error| format!("{self}: the addresses of this machine are not known: {error}"))?;
        if present.iter().any(|one| one.ip == self.ip) {
            return Err(format!(
                "{self}: this machine has this address already: choose another, or remove it (ip address del)"
            ));
        }
        let Some(name) = &self.interface else {
            let found = present.iter().find(|one| self.is_of_network(one.ip));
            return found.map(|one| one.index).ok_or_else(|| {
                format!(
                    "{self}: no interface of this machine has an address of this network: name one, as in {self}%eth0"
                )
            });
        };
        let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None);
        let index = socket.and_then(|socket| rustix::net::netdevice::name_to_index(socket, name));
        index.map_err(|error| format!("{self}: no interface {name}: {error}"))
    }

    /// Adds it to an interface.
    pub(crate) fn add(&self, index: u32) -> io::Result<()> {
        let mut message = self.message(index);
        // Whoever had it before does not have it any more.
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        ask(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK).map(drop)
    }

    /// Removes it from an interface.
    pub(crate) fn remove(&self, index: u32) -> io::Result<()> {
        ask(RouteNetlinkMessage::DelAddress(self.message(index)), NLM_F_ACK).map(drop)
    }

    /// Removes it from wherever it is: what is left of a program that is gone.
    ///
    /// # Errors
    /// If that is not permitted.
    pub fn forget(&self) -> io::Result<()> {
        present()?.iter().filter(|one| one.ip == self.ip).try_for_each(|one| self.remove(one.index))
    }

    fn message(&self, index: u32) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.header.family = if self.ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        message.header.prefix_len = self.prefix;
        message.header.scope = AddressScope::Universe;
        message.header.index = index;
        message.attributes = vec![AddressAttribute::Local(self.ip), AddressAttribute::Address(self.ip)];
        message
    }
}

/// All addresses of this machine.
fn present() -> io::Result<Vec<Present>> {
    let answers = ask(RouteNetlinkMessage::GetAddress(AddressMessage::default()), NLM_F_DUMP)?;
    let present = answers.into_iter().filter_map(|answer| {
        let RouteNetlinkMessage::NewAddress(message) = answer else { return None };
        // IPv6 has no separate one of its own.
        let attribute = |wanted: fn(&AddressAttribute) -> Option<IpAddr>| message.attributes.iter().find_map(wanted);
        let local = attribute(|one| if let AddressAttribute::Local(ip) = one { Some(*ip) } else { None });
        let address = attribute(|one| if let AddressAttribute::Address(ip) = one { Some(*ip) } else { None });
        Some(Present { index: message.header.index, ip: local.or(address)? })
    });
    Ok(present.collect())
}

/// Asks the kernel, and returns what it answers.
fn ask(question: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
    let socket = netlink::ask(NETLINK_ROUTE, question, flags)?;
    let mut answers = Vec::new();
    loop {
        let (packet, _) = socket.recv_from_full()?;
        let mut rest = packet.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(io::Error::other)?;
            let length = usize::try_from(message.header.length).unwrap_or(rest.len()).next_multiple_of(4);
            rest = rest.get(length..).unwrap_or_default();
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(answers),
                // An error of 0 says that it is done.
                NetlinkPayload::Error(error) => return error.code.map_or(Ok(answers), |_| Err(error.to_io())),
                NetlinkPayload::InnerMessage(message) => answers.push(message),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_they_are_read() {
        for text in ["10.9.0.100/24", "10.9.0.100/24%eth0", "fd00::7/64%br-lan"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in ["10.9.0.100", "10.9.0.100/33", "::/64", "127.0.0.1/8", "10.9.0.100/24%", "x/24", "224.0.0.1/4"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn networks_are_told_apart() {
        let address: Address = "10.9.0.100/24".parse().unwrap();
        assert!(address.is_of_network("10.9.0.1".parse().unwrap()));
        assert!(!address.is_of_network("10.9.1.1".parse().unwrap()));
        assert!(!address.is_of_network("a09::1".parse().unwrap()));
    }
}

//! Which address of this broker a client can reach, where nobody said (`advertised.listeners` is not set and the listener is
//! on all interfaces): decided for each connection, from its two ends.
//!
//! * It came over loopback: `localhost`.
//! * This is a container and it came from the network's gateway: Docker's port mapping, used on the host itself. The client
//!   asked for the host's loopback or one of its addresses, which cannot be seen from here: `localhost`, and the port that is
//!   published (`advertised.port` where that is another one).
//! * Else: the address it connected to. That is what a sibling container and a machine of the same network used.
//!
//! Left out: a client of another machine that comes through a port mapping. Nothing in the connection says by which name it
//! knows the host; that is what `advertised.listeners` is for. It is told the container's address, as Kafka would tell it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What has to be known of the place that this process runs in.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    /// Empty outside a container: there a gateway is a machine like others.
    gateways: Vec<Ipv4Addr>,
}

impl Surroundings {
    /// `routes` is the kernel's table of IPv4 routes (`/proc/net/route`).
    pub(super) fn new(in_container: bool, routes: &str) -> Surroundings {
        let gateways = if in_container { routes.lines().skip(1).filter_map(gateway).collect() } else { Vec::new() };
        Surroundings { gateways }
    }

    /// Host and port for the client of a connection.
    pub(super) fn told(&self, local: SocketAddr, remote: IpAddr, published: Option<u16>) -> (String, u16) {
        let through_mapping = match remote.to_canonical() {
            IpAddr::V4(remote) => self.gateways.contains(&remote),
            IpAddr::V6(_) => false,
        };
        let to = local.ip().to_canonical();
        match () {
            () if to.is_loopback() => ("localhost".into(), local.port()),
            () if through_mapping => ("localhost".into(), published.unwrap_or(local.port())),
            () => (to.to_string(), local.port()),
        }
    }
}

/// The gateway of a line of the table, whose numbers are hexadecimal with the bytes in the machine's order.
fn gateway(line: &str) -> Option<Ipv4Addr> {
    let gateway = u32::from_str_radix(line.split_whitespace().nth(2)?, 16).ok()?;
    (gateway != 0).then(|| Ipv4Addr::from(gateway.to_ne_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";

    fn told(in_container: bool, local: &str, remote: &str, published: Option<u16>) -> String {
        let around = Surroundings::new(in_container, ROUTES);
        let (host, port) = around.told(local.parse().unwrap(), remote.parse().unwrap(), published);
        format!("{host}:{port}")
    }

    #[test]
    fn a_client_on_loopback_is_told_localhost() {
        assert_eq!(told(true, "127.0.0.1:9092", "127.0.0.1", None), "localhost:9092");
        assert_eq!(told(false, "[::1]:9092", "::1", None), "localhost:9092");
        assert_eq!(told(false, "[::ffff:127.0.0.1]:9092", "::ffff:127.0.0.1", None), "localhost:9092");
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_client_that_came_through_dockers_port_mapping_is_told_localhost_and_the_published_port() {
        assert_eq!(told(true, "172.17.0.2:9092", "172.17.0.1", None), "localhost:9092");
        assert_eq!(told(true, "[::ffff:172.17.0.2]:9092", "::ffff:172.17.0.1", Some(19092)), "localhost:19092");
    }

    #[test]
    fn a_sibling_is_told_the_address_it_connected_to() {
        assert_eq!(told(true, "172.17.0.2:9092", "172.17.0.3", Some(19092)), "172.17.0.2:9092");
        assert_eq!(told(true, "[::ffff:172.17.0.2]:9092", "::ffff:172.17.0.3", None), "172.17.0.2:9092");
    }

    #[test]
    fn outside_a_container_the_gateway_is_a_machine_like_others() {
        assert_eq!(told(false, "172.17.0.2:9092", "172.17.0.1", Some(1)), "172.17.0.2:9092");
    }

    #[test]
    fn a_table_of_routes_that_says_nothing_names_no_gateway() {
        for routes in ["", "Iface\n", "Iface\neth0\n", "Iface\neth0 0 zz\n", "Iface\neth0 0 123456789012\n"] {
            assert_eq!(Surroundings::new(true, routes).gateways, [] as [Ipv4Addr; 0], "{routes:?}");
        }
    }
}

//! Whom a request comes from.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use hyper::HeaderMap;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address that sent `request_headers` over a connection from `peer`; `None` when that is some
/// proxy that the setting does not fit, behind which anybody may be.
///
/// Each proxy appends the address that it saw to `X-Forwarded-For`. With `trusted_hops` of them in
/// front of us, what the outermost of them saw stands in that place from the right; whatever is
/// left of it the sender may have made up. Where there is no address in that place, the peer is a proxy all the same.
#[must_use]
pub fn source_address(peer: IpAddr, headers: &HeaderMap, trusted_hops: usize) -> Option<IpAddr> {
    let Some(place) = trusted_hops.checked_sub(1) else {
        return (!headers.contains_key(FORWARDED_FOR)).then(|| network_of(peer));
    };
    let forwarded: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .collect();
    let address = forwarded.iter().rev().nth(place);
    address.and_then(|text| parse(text)).map(network_of)
}

/// Some proxies write the port too.
fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// One customer of a provider has a whole /64 of IPv6 addresses, so the /64 is the sender.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(forwarded: &[&str], trusted_hops: usize) -> Option<String> {
        let headers = forwarded
            .iter()
            .map(|value| (FORWARDED_FOR.parse().unwrap(), value.parse().unwrap()))
            .collect();
        source_address("192.0.2.1".parse().unwrap(), &headers, trusted_hops)
            .map(|address| address.to_string())
    }

    #[test]
    fn without_proxies_it_is_the_peer() {
        assert_eq!(source(&[], 0).as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn a_proxy_that_nobody_told_us_of_hides_the_sender() {
        assert_eq!(source(&["198.51.100.7"], 0), None);
    }

    #[test]
    fn the_outermost_trusted_proxy_tells_the_sender() {
        let made_up_and_two_proxies = &["203.0.113.9, 198.51.100.7", "198.51.100.8"];
        assert_eq!(
            source(made_up_and_two_proxies, 1).as_deref(),
            Some("198.51.100.8")
        );
        assert_eq!(
            source(made_up_and_two_proxies, 2).as_deref(),
            Some("198.51.100.7")
        );
    }

    #[test]
    fn a_header_that_the_setting_does_not_fit_hides_the_sender() {
        for forwarded in [&[][..], &["unknown"], &["", " "]] {
            assert_eq!(source(forwarded, 1), None, "{forwarded:?}");
        }
        assert_eq!(source(&["198.51.100.7"], 2), None);
        assert_eq!(source(&["198.51.100.7", "198.51.100.8"], 3), None);
    }

    #[test]
    fn ports_and_brackets_are_read_and_ipv6_counts_by_its_64() {
        assert_eq!(
            source(&["198.51.100.7:4711"], 1).as_deref(),
            Some("198.51.100.7")
        );
        assert_eq!(
            source(&["[2001:db8:1:2:3::4]:80"], 1).as_deref(),
            Some("2001:db8:1:2::")
        );
        assert_eq!(
            source(&["[2001:db8:1:2:3::4]"], 1).as_deref(),
            Some("2001:db8:1:2::")
        );
        assert_eq!(
            source(&["::ffff:198.51.100.7"], 1).as_deref(),
            Some("198.51.100.7")
        );
    }
}

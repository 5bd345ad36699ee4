"""IP addresses as a person writes them: which are addresses at all, and at which of them other hosts can reach one."""

from ipaddress import IPv4Address, IPv6Address, ip_address

IpAddress = IPv4Address | IPv6Address

_LIMITED_BROADCAST = IPv4Address("255.255.255.255")


def ip_of(text: str) -> IpAddress | None:
    """The address that a text is, an IPv4 one also where it is written as IPv6; None where it is none.

    A scope (`fe80::1%eth0`) is none: it means something on one host only, and Python takes any characters for one, also
    line ends, which must not come into the rules of a firewall.
    """
    if "%" in text:
        return None
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def written_once(text: str) -> str:
    """An address as Python prints it, for comparing; a name in lower case."""
    return str(ip_of(text) or text.lower())


def no_data_address(text: str) -> tuple[str, str] | None:
    """Why other hosts cannot reach a host at what is written, and what to do; None where they may.

    One spelling of each address is taken: it is compared as text, here and in the tables of the hosts.
    """
    found = ip_of(text)
    if found is None:
        return "not an IP address", "write the IP address that the other hosts reach, without a scope"
    if why := _reaches_no_one_host(found):
        return why, "write the IP address that the other hosts reach"
    return None if str(found) == text else ("not that address's usual spelling", f"write `{found}`")


def _reaches_no_one_host(address: IpAddress) -> str | None:
    if address.is_unspecified:
        return "the address that stands for any"
    if address.is_multicast or address == _LIMITED_BROADCAST:
        return "an address of many hosts"
    if address.version == 6 and address.is_link_local:
        return "an address that is reached with a scope only, which differs from host to host"
    return None

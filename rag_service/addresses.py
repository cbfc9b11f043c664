"""Which addresses the service may be sent to: public ones, and private networks that the operator names.

Whoever may enter a URL could else have the server ask its own neighbours, such as a cloud's metadata service.
"""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpx

from rag_service.errors import InvalidInput

Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]

LONGEST_URL = 2000
_NAT64 = ip_network("64:ff9b::/96")


class UrlRefused(InvalidInput):
    """A URL that must not, or cannot, be fetched from."""

    code = "url_refused"
    title = "This URL is not fetched"


def parse_url(raw: str) -> httpx.URL:
    """A URL that might be fetched, without its fragment; its host is not looked up yet.

    Raises:
        UrlRefused: it is none, or not of http or https, or names a user.
    """
    try:
        url = httpx.URL(raw.strip())
        port_is_fine = url.port is None or 0 < url.port < 65536
    except (httpx.InvalidURL, ValueError, UnicodeError):
        raise UrlRefused("This is no URL; it looks like https://example.org/page.") from None
    # A percent sign in a host is a character that belongs in none, or the zone of a link-local address.
    if url.scheme not in ("http", "https") or not url.host or "%" in url.host or not port_is_fine:
        raise UrlRefused("A URL begins with http:// or https://, and names a host.")
    if url.userinfo:
        raise UrlRefused("A URL with a user name or a password in it is not fetched.")
    if len(str(url)) > LONGEST_URL:
        raise UrlRefused(f"A URL may be {LONGEST_URL} characters long.")
    return url.copy_with(fragment=None)


def check_literal(url: httpx.URL, allowed: Networks) -> None:
    """Raises UrlRefused where the host is an address, in the usual form, that must not be asked."""
    try:
        address = ip_address(url.host.strip("[]"))
    except ValueError:
        return  # a name: looked up, and checked, when it is fetched
    if not may_be_asked(address, allowed):
        raise _refused(url)


async def resolve(url: httpx.URL, allowed: Networks) -> list[str]:
    """The addresses of the URL's host, all of which may be asked; connect to one of these and to nothing else.

    Odd forms, such as a decimal number, are whatever the system's resolver makes of them.

    Raises:
        UrlRefused: there is no such host, or one of its addresses must not be asked.
    """
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(url.host.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UrlRefused(f"There is no host called {url.host}.", code="unknown_host") from None
    addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
    if not addresses or not all(may_be_asked(ip_address(address), allowed) for address in addresses):
        raise _refused(url)
    return addresses


def may_be_asked(address: Address, allowed: Networks) -> bool:
    """Whether an address is public, or of an allowed network; one that wraps another is that other."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return may_be_asked(inner, allowed)
        if address.scope_id is not None:
            return False
    if any(address.version == network.version and address in network for network in allowed):
        return True
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _refused(url: httpx.URL) -> UrlRefused:
    return UrlRefused(
        f"{url.host} is not a public address, or leads to one that is not. An operator can allow networks with "
        "RAG_FETCH_ALLOW_PRIVATE."
    )

"""Which URLs and addresses are asked, and which never."""

from ipaddress import ip_address, ip_network

import pytest

from rag_service.addresses import UrlRefused, check_literal, may_be_asked, parse_url, resolve

PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104 - one of those that must not be asked
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fd00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "2002:7f00:1::",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_is_not_asked(address: str) -> None:
    assert not may_be_asked(ip_address(address), [])


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_what_is_public_is_asked(address: str) -> None:
    assert may_be_asked(ip_address(address), [])


def test_a_private_network_is_asked_when_it_is_allowed_and_no_other() -> None:
    allowed = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
    assert may_be_asked(ip_address("10.1.2.3"), allowed)
    assert may_be_asked(ip_address("::ffff:10.1.2.3"), allowed)
    assert may_be_asked(ip_address("fd12::1"), allowed)
    assert not may_be_asked(ip_address("192.168.1.1"), allowed)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "file:///etc/passwd",
        "ftp://example.org/",
        "gopher://example.org/",
        "http://",
        "https:///path",
        "http://user@example.org/",
        "http://user:password@example.org/",
        "http://example.org@127.0.0.1/",
        "http://example.org:99999/",
        "http://exa mple.org/",
        "http://[::1/",
        "http://example.org/\x00",
        "https://example.org/" + "x" * 3000,
    ],
)
def test_what_is_no_plain_url_is_refused(url: str) -> None:
    with pytest.raises(UrlRefused):
        parse_url(url)


def test_a_fragment_is_no_part_of_what_is_fetched() -> None:
    assert str(parse_url(" https://example.org/a?b=c#d ")) == "https://example.org/a?b=c"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:7f00:1]", "169.254.169.254"])
def test_an_address_in_a_url_is_judged_before_anything_is_looked_up(host: str) -> None:
    with pytest.raises(UrlRefused, match="RAG_FETCH_ALLOW_PRIVATE"):
        check_literal(parse_url(f"http://{host}:8000/"), [])


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::ffff:7f00:1]", "0"],
)
async def test_names_and_odd_forms_are_judged_by_what_they_lead_to(host: str) -> None:
    with pytest.raises(UrlRefused):
        await resolve(parse_url(f"http://{host}/"), [])


async def test_a_host_that_does_not_exist_is_told() -> None:
    with pytest.raises(UrlRefused, match="no host"):
        await resolve(parse_url("http://no-such-host.invalid/"), [])

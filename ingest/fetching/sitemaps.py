"""The pages that a sitemap lists."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ingest.fetching.client import FetchFailed

MAPS = 20
"""Sitemaps that an index may list."""


async def pages_of(
    url: str, read: Callable[[str], Awaitable[bytes]], *, limit: int
) -> tuple[list[str], bool]:
    """At most `limit` pages of the sitemap's own host, and whether there are more. An index is read one level deep.

    Raises:
        FetchFailed: it is no sitemap.
    """
    root = _parsed(await read(url))
    pages: dict[str, None] = {}
    if _name(root) == "sitemapindex":
        for below in _own(_locations(root), url)[:MAPS]:
            pages |= dict.fromkeys(_own(_locations(_parsed(await read(below))), url))
            if len(pages) > limit:
                break
    else:
        pages |= dict.fromkeys(_own(_locations(root), url))
    return list(pages)[:limit], len(pages) > limit


def _parsed(data: bytes) -> Element:
    try:
        root = fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise FetchFailed(
            "It is no sitemap, or not a plain one: its XML is not used.", code="no_sitemap"
        ) from error
    if _name(root) not in ("urlset", "sitemapindex"):
        raise FetchFailed("It is XML, but no sitemap.", code="no_sitemap")
    return root  # type: ignore[no-any-return]


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _locations(root: Element) -> list[str]:
    """The text of each entry's own `loc`; images and the like have theirs deeper."""
    return [child.text.strip() for entry in root for child in entry if _name(child) == "loc" and child.text]


def _own(urls: list[str], sitemap: str) -> list[str]:
    """Those of the sitemap's own host: it speaks for no other."""
    host = urlsplit(sitemap).hostname
    return [url for url in urls if _host(url) == host]


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None

"""URLs entered over HTTP, fetched from a real web server, and stored as documents; and what is never asked."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from ingest.fetching.client import Client
from ingest.urls import UrlFetcher, name_of
from rag_service.addresses import UrlRefused
from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.settings import Settings
from tests.api.support import check_problem, until
from tests.conftest import Serve, Server
from tests.integration.ingestion import running
from tests.integration.site import Answer, Site, serving


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as made:
        yield made


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """This machine's own address, and no other private one, may be fetched from."""
    return settings.model_copy(
        update={
            "fetch_allow_private": [ip_network("127.0.0.1/32")],
            "fetch_max_bytes": 20_000,
            "sitemap_pages": 5,
        }
    )


@pytest.fixture
async def server(serve: Serve) -> AsyncIterator[Server]:
    async with serve() as made:
        yield made


@pytest.fixture
def fetcher(server: Server, settings: Settings) -> UrlFetcher:
    return fetcher_of(server.services.database, settings)


def fetcher_of(database: Database, settings: Settings) -> UrlFetcher:
    return UrlFetcher(database, BlobStore(settings.blob_dir), settings)


async def add(server: Server, url: str, **body: Any) -> str:
    answer = await server.http.post("/api/v1/knowledge-bases/default/urls", json={"url": url, **body})
    assert answer.status_code == 201, answer.text
    id: str = answer.json()["id"]
    return id


async def listed(server: Server) -> list[dict[str, Any]]:
    answer = await server.http.get("/api/v1/knowledge-bases/default/urls")
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def documents(server: Server) -> dict[str, dict[str, Any]]:
    while await server.worker.run_one():
        pass
    answer = await server.http.get("/api/v1/knowledge-bases/default/documents")
    return {item["filename"]: item for item in answer.json()["items"]}


async def make_due(server: Server) -> None:
    await sql(server, "UPDATE url_sources SET next_at = now()")


async def sql(server: Server, statement: str) -> Any:
    from sqlalchemy import text

    async with server.services.database.transaction() as session:
        result = await session.execute(text(statement))
        return result.scalar() if result.returns_rows else None  # type: ignore[attr-defined]


async def test_a_page_is_fetched_read_and_kept_up_to_date(
    server: Server, site: Site, fetcher: UrlFetcher
) -> None:
    site.page("/moon", "The moon is made of basalt.", ETag='"1"')
    await add(server, f"{site.url}/moon", refresh_seconds=3600)
    assert await fetcher.fetch_due_url()
    assert not await fetcher.fetch_due_url()
    [(name, found)] = (await documents(server)).items()
    assert name == name_of(f"{site.url}/moon", "text/html") == "127.0.0.1/moon.html"
    assert (found["state"], found["version"]) == ("ready", 1)
    searched = await server.http.post("/api/v1/search", json={"query": "moon basalt"})
    assert "basalt" in searched.json()["hits"][0]["text"]
    [source] = await listed(server)
    assert source["error"] is None and source["fetched_at"] and source["next_at"]

    await make_due(server)
    assert await fetcher.fetch_due_url()
    assert site.asked[-1][1]["If-None-Match"] == '"1"'
    assert (await documents(server))[name]["version"] == 1

    site.page("/moon", "The moon is made of basalt.", ETag='"2"')  # the same bytes
    await make_due(server)
    assert await fetcher.fetch_due_url()
    assert (await documents(server))[name]["version"] == 1
    site.page("/moon", "The moon is made of anorthosite.", ETag='"3"')
    await make_due(server)
    assert await fetcher.fetch_due_url()
    assert (await documents(server))[name]["version"] == 2
    assert len(list(server.services.documents._blobs.files())) == 2


async def test_what_fails_is_told_and_the_document_stays(
    server: Server, site: Site, fetcher: UrlFetcher
) -> None:
    site.page("/a", "Text.")
    await add(server, f"{site.url}/a", refresh_seconds=3600)
    await fetcher.fetch_due_url()
    for answer, code in (
        (Answer(status=404), "fetch_failed"),
        (Answer(status=503), "fetch_unavailable"),
        (
            Answer(b"x" * 20_001, headers={"Content-Length": "3"}),
            None,
        ),  # what it says of its length is believed
        (Answer(b"x" * 20_001), "too_large"),
        (Answer(status=302, headers={"Location": "/a"}), "fetch_failed"),
        (Answer(status=302, headers={"Location": "file:///etc/passwd"}), "url_refused"),
        (Answer(status=302, headers={"Location": "http://127.0.0.2/"}), "url_refused"),
        (Answer(status=302, headers={"Location": "http://[::1]/"}), "url_refused"),
        (Answer(status=302, headers={"Location": "http://x@127.0.0.1/"}), "url_refused"),
    ):
        site.answers["/a"] = answer
        await make_due(server)
        assert await fetcher.fetch_due_url()
        [source] = await listed(server)
        assert (source["error"] or {}).get("code") == code, (answer, source)
        assert source["next_at"] is not None
    assert list(await documents(server)) == ["127.0.0.1/a.html"]
    assert len(list(server.services.documents._blobs.files())) == 2


async def test_a_server_that_is_silent_is_given_up_in_time(
    server: Server, site: Site, settings: Settings
) -> None:
    released = threading.Event()
    site.answers["/slow"] = Answer(held=released)
    await add(server, f"{site.url}/slow")
    hurried = fetcher_of(server.services.database, settings.model_copy(update={"fetch_seconds": 0.3}))
    assert await hurried.fetch_due_url()
    released.set()
    [source] = await listed(server)
    assert source["error"]["code"] == "fetch_timeout"
    assert source["next_at"] is not None  # it is tried again


async def test_a_redirect_is_followed_and_what_is_fetched_once_is_not_fetched_again(
    server: Server, site: Site, fetcher: UrlFetcher
) -> None:
    site.page("/new", "Moved text.")
    site.answers["/old"] = Answer(status=301, headers={"Location": "/new"})
    await add(server, f"{site.url}/old")
    assert await fetcher.fetch_due_url()
    [source] = await listed(server)
    assert (source["error"], source["next_at"]) == (None, None)
    assert list(await documents(server)) == ["127.0.0.1/old.html"]


async def test_only_the_address_that_was_checked_is_asked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that leads somewhere else the second time: there is no second time."""
    port = int(site.url.rpartition(":")[2])
    looked_up: list[str] = []

    async def rebinding(_: object, host: str, *__: object, **___: object) -> list[Any]:
        looked_up.append(host)
        address = "127.0.0.1" if len(looked_up) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", rebinding)
    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", rebinding, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    site.page("/", "Text.")
    client = Client([ip_network("127.0.0.1/32")], 1000)
    assert b"Text." in await client.read(f"http://docs.example.org:{port}/")
    assert looked_up == ["docs.example.org"]
    assert site.asked[0][1]["Host"] == f"docs.example.org:{port}"
    with pytest.raises(UrlRefused):
        await client.read(f"http://docs.example.org:{port}/")
    assert len(site.asked) == 1
    await client.close()


async def test_a_host_with_one_private_address_among_public_ones_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def mixed(*_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, 1, 6, "", (address, 80)) for address in ("93.184.216.34", "10.0.0.1")]

    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", mixed, raising=False)
    client = Client([], 1000)
    with pytest.raises(UrlRefused):
        await client.read("http://example.org/")
    await client.close()


async def test_a_redirect_does_not_reach_a_private_neighbour(site: Site) -> None:
    with serving("127.0.0.2") as neighbour:
        site.answers["/"] = Answer(status=302, headers={"Location": f"{neighbour.url}/"})
        client = Client([ip_network("127.0.0.1/32")], 1000)
        with pytest.raises(UrlRefused):
            await client.read(f"{site.url}/")
        await client.close()
        assert neighbour.asked == []


async def test_a_sitemap_s_pages_are_mirrored(server: Server, site: Site, fetcher: UrlFetcher) -> None:
    pages = [f"{site.url}/{number}" for number in range(4)]
    for number in range(4):
        site.page(f"/{number}", f"Text of page {number}.")
    site.sitemap("/sitemap.xml", *pages, "http://elsewhere.example/5")
    await add(server, f"{site.url}/sitemap.xml", kind="sitemap", refresh_seconds=3600)
    assert await fetcher.fetch_due_url()
    [source] = await listed(server)
    assert source["error"] is None
    assert sorted(await documents(server)) == [f"127.0.0.1/{number}.html" for number in range(4)]

    site.sitemap("/sitemap.xml", *pages[1:])
    site.page("/1", "Another text.")
    del site.answers["/2"]
    await make_due(server)
    assert await fetcher.fetch_due_url()
    found = await documents(server)
    assert {name: item["version"] for name, item in found.items()} == {
        "127.0.0.1/1.html": 2,
        "127.0.0.1/2.html": 1,
        "127.0.0.1/3.html": 1,
    }
    [source] = await listed(server)
    assert source["error"]["code"] == "sitemap_incomplete"

    site.sitemap("/sitemap.xml", pages[3])
    await make_due(server)
    await fetcher.fetch_due_url()
    assert (await listed(server))[0]["error"]["code"] == "sitemap_shrunk"
    assert len(await documents(server)) == 3


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>no</body></html>",
        b"<urlset",
        b'<!DOCTYPE a [<!ENTITY b "c">]><urlset><url><loc>&b;</loc></url></urlset>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><urlset/>',
    ],
)
async def test_what_is_no_plain_sitemap_is_told(
    server: Server, site: Site, fetcher: UrlFetcher, body: bytes
) -> None:
    site.answers["/sitemap.xml"] = Answer(body)
    await add(server, f"{site.url}/sitemap.xml", kind="sitemap")
    assert await fetcher.fetch_due_url()
    assert (await listed(server))[0]["error"]["code"] == "no_sitemap"


async def test_a_sitemap_is_read_up_to_a_limit(server: Server, site: Site, fetcher: UrlFetcher) -> None:
    for number in range(7):
        site.page(f"/{number}", f"Text of page {number}.")
    site.sitemap("/deep.xml", *(f"{site.url}/{number}" for number in range(7)))
    site.answers["/sitemap.xml"] = Answer(
        f"<sitemapindex><sitemap><loc>{site.url}/deep.xml</loc></sitemap></sitemapindex>".encode()
    )
    await add(server, f"{site.url}/sitemap.xml", kind="sitemap")
    await fetcher.fetch_due_url()
    assert len(await documents(server)) == 5
    assert "RAG_SITEMAP_PAGES" in (await listed(server))[0]["error"]["detail"]


async def test_two_workers_do_not_fetch_the_same(server: Server, site: Site, settings: Settings) -> None:
    released = threading.Event()
    site.page("/a", "Text.")
    site.answers["/a"].held = released
    await add(server, f"{site.url}/a")
    first, second = (fetcher_of(server.services.database, settings) for _ in range(2))
    fetching = asyncio.create_task(first.fetch_due_url())

    async def is_asked() -> bool:
        return bool(site.asked)

    await until(is_asked)
    assert not await second.fetch_due_url()
    await sql(server, "UPDATE url_sources SET lease_until = now() - interval '1 second'")
    released.set()
    assert await fetching  # it has lost the lease: what it fetched does not count
    assert await documents(server) == {}
    assert await second.fetch_due_url()
    assert list(await documents(server)) == ["127.0.0.1/a.html"]


async def test_urls_are_listed_removed_and_their_documents_stay_or_go(
    server: Server, site: Site, fetcher: UrlFetcher
) -> None:
    for name in ("a", "b"):
        site.page(f"/{name}", f"Text of {name}.")
    kept, gone = await add(server, f"{site.url}/a"), await add(server, f"{site.url}/b")
    twice = await server.http.post("/api/v1/knowledge-bases/default/urls", json={"url": f"{site.url}/a"})
    check_problem(twice, 409, "url_exists")
    async with running(fetcher.run()):

        async def are_fetched() -> bool:
            return all(source["fetched_at"] for source in await listed(server))

        await until(are_fetched, 20)
    assert len(await documents(server)) == 2
    assert (await server.http.delete(f"/api/v1/urls/{kept}")).status_code == 204
    assert (await server.http.delete(f"/api/v1/urls/{gone}?documents=true")).status_code == 204
    check_problem(await server.http.delete(f"/api/v1/urls/{gone}"), 404, "url_not_found")
    assert await listed(server) == []
    assert list(await documents(server)) == ["127.0.0.1/a.html"]
    assert (
        await sql(server, "SELECT count(*) FROM documents WHERE source IS NOT NULL AND deleted_at IS NULL")
        == 0
    )


async def test_what_must_not_be_fetched_is_refused_when_it_is_entered(server: Server) -> None:
    for url in (
        "ftp://example.org/",
        "http://user@example.org/",
        "http://169.254.169.254/latest",
        "http://[::ffff:a00:1]/",
        "no url",
    ):
        answer = await server.http.post("/api/v1/knowledge-bases/default/urls", json={"url": url})
        check_problem(answer, 422, "url_refused")
    for body in (
        {"url": ""},
        {"url": "http://example.org/", "kind": "site"},
        {"url": "http://example.org/", "refresh_seconds": 1},
    ):
        answer = await server.http.post("/api/v1/knowledge-bases/default/urls", json=body)
        check_problem(answer, 422, "invalid_input")
    unknown = await server.http.post(
        "/api/v1/knowledge-bases/unknown/urls", json={"url": "http://example.org/"}
    )
    check_problem(unknown, 404, "knowledge_base_not_found")

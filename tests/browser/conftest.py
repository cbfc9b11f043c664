"""A browser, pages of other origins, and a worker that runs beside the app."""

import asyncio
import contextlib
import shutil
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Locator, Page, async_playwright, expect

from rag_service.settings import PACKAGE_DIR
from rag_service.supervisor.chroma import LocalChroma
from rag_service.supervisor.postgres import LocalPostgres
from rag_service.testing.model_server import ModelServer
from tests.api.conftest import _on_a_database_of_its_own
from tests.conftest import Server

WEB = PACKAGE_DIR / "web"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
QUESTION = "What is the moon made of?"
SECONDS = 20
"""How long anything is waited for: a machine may be busy with much else."""

expect.set_options(timeout=SECONDS * 1000)


@pytest.fixture(scope="session", autouse=True)
def _built() -> None:
    if not (WEB / "dist" / "widget.js").is_file():
        pytest.fail("The pages are not built: run `make web` (it needs Node 20 or newer).", pytrace=False)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.fail("The browser tests need Chromium: `apt-get install chromium`.", pytrace=False)
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield running
        await running.close()


@dataclass
class Tab:
    """A page, and what it did: every address it asked for, and every fault of its scripts."""

    page: Page
    requested: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def origins(self) -> set[str]:
        """The origins that were asked for anything."""
        parts = [urlsplit(url) for url in self.requested]
        return {f"{part.scheme}://{part.netloc}" for part in parts if part.scheme in ("http", "https", "ws")}


OpenTab = Callable[..., Awaitable[Tab]]


@pytest.fixture
async def open_tab(browser: Browser) -> AsyncIterator[OpenTab]:
    """Opens an address in a fresh browser profile. At the end no script may have failed, and no policy been broken."""
    tabs: list[Tab] = []

    async def make(url: str, **options: Any) -> Tab:
        options = {"reduced_motion": "reduce", "locale": "en-GB", **options}
        context = await browser.new_context(**options)
        context.set_default_timeout(SECONDS * 1000)
        tab = Tab(await context.new_page())
        tabs.append(tab)
        context.on("request", lambda request: tab.requested.append(request.url))
        tab.page.on("pageerror", lambda error: tab.faults.append(str(error)))
        tab.page.on("console", lambda said: _note(tab, said.text))
        await tab.page.goto(url)
        return tab

    yield make
    for tab in tabs:
        await tab.page.context.close()
    assert [fault for tab in tabs for fault in tab.faults] == []


def _note(tab: Tab, said: str) -> None:
    if "Content Security Policy" in said or "Uncaught" in said:
        tab.faults.append(said)


@pytest.fixture(scope="session")
async def moon(
    postgres: LocalPostgres, chroma: LocalChroma, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    """A server without a language model, for all tests. `default` knows about the moon."""
    state = tmp_path_factory.mktemp("quoting-pages")
    async with _on_a_database_of_its_own(postgres, chroma, state) as server:
        yield server


@pytest.fixture(scope="session")
async def _generating(
    postgres: LocalPostgres,
    chroma: LocalChroma,
    _model_server: ModelServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Server]:
    state = tmp_path_factory.mktemp("generating-pages")
    async with _on_a_database_of_its_own(
        postgres, chroma, state, chat_model="openai:test-model", openai_base_url=_model_server.base_url
    ) as server:
        yield server


@pytest.fixture
def generating(_generating: Server, model_server: ModelServer) -> Server:
    """A server whose answers `model_server` gives. `default` knows about the moon."""
    return _generating


@asynccontextmanager
async def working(server: Server) -> AsyncGenerator[None, None]:
    """The worker runs meanwhile, as it does beside a real server."""

    async def work() -> None:
        while True:
            if not await server.worker.run_one():
                await asyncio.sleep(0.05)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@dataclass
class Site:
    """Somebody else's web site: one page, on a port of its own."""

    origin: str
    html: str = ""


@pytest.fixture
def site() -> Iterator[Site]:
    shown = Site("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = shown.html.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        shown.origin = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield shown
        server.shutdown()
        thread.join()


async def make_embed(server: Server, *origins: str) -> dict[str, Any]:
    """An embed for pages of these origins."""
    answer = await server.http.post(
        "/api/v1/embeds", json={"name": "Moon desk", "knowledge_base": "default", "origins": list(origins)}
    )
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def page_with(snippet: str, *, lang: str = "en", direction: str = "ltr") -> str:
    """A page with a widget, and styles that would spoil one that were not shielded from them."""
    return f"""<!doctype html><html lang="{lang}" dir="{direction}"><head><title>A shop</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<style>* {{ letter-spacing: 3px; }} button {{ background: red !important; }} body {{ font: 30px serif; }}</style>
{snippet}</head><body><main><h1>A shop</h1><p>Some words.</p><button>Buy</button></main></body></html>"""


def question_box(tab: Tab) -> Locator:
    return tab.page.get_by_role("textbox", name="Your question")


async def ask(tab: Tab, question: str = QUESTION) -> None:
    """Write a question and send it."""
    box = question_box(tab)
    await box.fill(question)
    await box.press("Enter")


def answers(tab: Tab) -> Locator:
    return tab.page.locator("rag-answer")


async def sign_in(tab: Tab, server: Server) -> None:
    """Sign in to the console with the admin key."""
    key = server.http.headers["Authorization"].removeprefix("Bearer ")
    await tab.page.get_by_label("API key").fill(key)
    await tab.page.get_by_role("button", name="Sign in").click()
    await tab.page.get_by_role("button", name="Sign out").wait_for()

"""A server that has too much to do: the chat says so, waits as long as it is told to, and asks again by itself."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from playwright.async_api import expect

from rag_service.errors import Overloaded
from tests.browser.conftest import (
    SECONDS,
    OpenTab,
    Site,
    Tab,
    answers,
    ask,
    make_embed,
    page_with,
    question_box,
)
from tests.conftest import Server

BUSY = "The service is busy, trying again"


@contextmanager
def full(server: Server) -> Iterator[ExitStack]:
    """Within the block the server has as many answers in work as it takes on, until the places are given up."""
    with ExitStack() as places:
        try:
            while True:
                places.enter_context(server.services.admission.turns.enter())
        except Overloaded:
            yield places


def keys_sent(tab: Tab) -> list[str]:
    """The key of each question, as it is sent."""
    sent: list[str] = []
    tab.page.on(
        "request",
        lambda request: (
            sent.append(request.headers["idempotency-key"])
            if request.method == "POST" and request.url.endswith("/api/v1/chat")
            else None
        ),
    )
    return sent


async def test_the_widget_asks_again_by_itself_and_the_question_is_asked_once(
    moon: Server, site: Site, open_tab: OpenTab
) -> None:
    embed = await make_embed(moon, site.origin)
    site.html = page_with(embed["snippet"])
    tab = await open_tab(site.origin)
    sent = keys_sent(tab)
    await tab.page.get_by_role("button", name="Open the chat").click()
    await expect(question_box(tab)).to_be_focused()
    with full(moon) as places:
        await ask(tab)
        await expect(tab.page.get_by_text(BUSY)).to_be_visible()
        places.close()
        await expect(answers(tab)).to_contain_text("The moon is made of basalt and anorthosite.")
    await expect(tab.page.get_by_text(BUSY)).to_have_count(0)
    assert len(sent) >= 2 and len({*sent}) == 1
    await expect(tab.page.locator(".turn")).to_have_count(1)


async def test_who_is_refused_again_and_again_is_told_and_may_ask_anew(
    moon: Server, open_tab: OpenTab
) -> None:
    tab = await open_tab(moon.url)
    sent = keys_sent(tab)
    problem = tab.page.locator(".problem")
    await tab.page.clock.install()
    with full(moon):
        await ask(tab)
        async with asyncio.timeout(SECONDS):
            while not await problem.count():
                await tab.page.clock.run_for(1000)
    await expect(problem).to_contain_text("as many as there may be")
    await expect(tab.page.get_by_text(BUSY)).to_have_count(0)
    assert len(sent) == 4
    await problem.get_by_role("button", name="Try again").click()
    await expect(answers(tab)).to_contain_text("The moon is made of basalt and anorthosite.")
    assert len(sent) == 5 and len({*sent}) == 1


async def test_who_stops_meanwhile_is_not_asked_for_again(moon: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(moon.url)
    sent = keys_sent(tab)
    await tab.page.clock.install()
    with full(moon):
        await ask(tab)
        await expect(tab.page.get_by_text(BUSY)).to_be_visible()
        await tab.page.get_by_role("button", name="Stop answering").click()
        await expect(tab.page.get_by_text("Stopped", exact=True)).to_be_visible()
        await expect(tab.page.get_by_text(BUSY)).to_have_count(0)
        await tab.page.clock.run_for(60_000)
    assert len(sent) == 1
    await ask(tab)
    await expect(answers(tab)).to_contain_text("The moon is made of basalt and anorthosite.")
    assert len({*sent}) == 2

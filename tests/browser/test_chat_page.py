"""`/`: asking, reading, checking, stopping, beginning anew."""

import asyncio
import re

import httpx
from playwright.async_api import Locator, Route, expect

from rag_service.testing.model_server import Fault, ModelServer, Reply
from tests.browser.conftest import QUESTION, SECONDS, OpenTab, Tab, answers, ask, question_box
from tests.conftest import Server
from tests.line import Line

LONG = "The moon is made of basalt and anorthosite [1]. " + "It circles the Earth again and again. " * 60


async def test_a_question_is_answered_with_quotes(moon: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(moon.url)
    await expect(question_box(tab)).to_be_focused()
    await ask(tab)
    await expect(answers(tab)).to_contain_text("The moon is made of basalt and anorthosite.")
    await expect(tab.page.get_by_text("Quoted word for word from the documents")).to_be_visible()
    assert tab.origins() == {moon.url}


async def test_an_answer_is_shown_as_it_streams(
    generating: Server, model_server: ModelServer, open_tab: OpenTab
) -> None:
    model_server.reply(
        Reply("# Moon\n\n**Basalt** and *anorthosite* [1].\n\n- one\n- two\n\nThe end.", token_delay=0.05)
    )
    tab = await open_tab(generating.url)
    await ask(tab)
    await expect(answers(tab).locator("strong")).to_have_text("Basalt")
    await expect(tab.page.get_by_role("button", name="Stop answering")).to_be_visible()
    await expect(answers(tab)).not_to_contain_text("The end.")
    await expect(answers(tab)).to_contain_text("The end.")
    await expect(answers(tab).locator("li")).to_have_text(["one", "two"])
    assert "*" not in await answers(tab).locator(".prose").inner_text()
    await expect(tab.page.locator(".answer")).to_have_attribute("aria-busy", "false")
    await expect(tab.page.locator(".unsupported li")).to_have_text(["one", "two", "The end."])


async def test_a_citation_opens_its_quote_by_mouse(moon: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(moon.url)
    await ask(tab)
    await answers(tab).get_by_role("button", name="Source 1: Moon").first.click()
    drawer = tab.page.get_by_role("dialog", name="Source 1 Moon")
    await expect(drawer).to_be_visible()
    await expect(drawer).to_contain_text("moon.md")
    await expect(drawer.locator("blockquote")).to_have_text("The moon is made of basalt and anorthosite.")
    await drawer.get_by_text("Show the whole passage").click()
    await expect(drawer.locator("mark")).to_have_text("The moon is made of basalt and anorthosite.")
    await drawer.get_by_role("button", name="Close").click()
    await expect(drawer).to_have_count(0)


async def test_a_citation_opens_its_quote_by_keyboard(moon: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(moon.url, viewport={"width": 375, "height": 700})
    await ask(tab)
    await expect(tab.page.locator(".sources")).to_be_visible()
    mark = answers(tab).get_by_role("button", name="Source 1: Moon").first
    for _ in range(8):
        await tab.page.keyboard.press("Shift+Tab")
        if await mark.evaluate("it => it.getRootNode().activeElement === it"):
            break
    await expect(mark).to_be_focused()
    await tab.page.keyboard.press("Enter")
    drawer = tab.page.get_by_role("dialog")
    await expect(drawer).to_be_focused()
    for _ in range(6):  # what is behind the passage cannot be reached meanwhile
        await tab.page.keyboard.press("Tab")
        assert not await question_box(tab).evaluate("it => it.getRootNode().activeElement === it")
    await tab.page.keyboard.press("Escape")
    await expect(drawer).to_have_count(0)
    await expect(mark).to_be_focused()


async def test_an_answer_is_stopped_in_mid_stream(
    generating: Server, model_server: ModelServer, open_tab: OpenTab
) -> None:
    model_server.reply(Reply(LONG, token_delay=0.03))
    tab = await open_tab(generating.url)
    await ask(tab)
    await expect(answers(tab)).to_contain_text("basalt")
    await tab.page.get_by_role("button", name="Stop answering").click()
    await expect(tab.page.get_by_text("Stopped", exact=True)).to_be_visible()
    await expect(question_box(tab)).to_be_focused()
    await model_server.wait_for(lambda: model_server.open_streams == 0)
    shown = await answers(tab).locator(".prose").inner_text()
    assert "basalt" in shown and len(shown) < len(LONG) / 2
    assert any(re.search(r"/api/v1/chat/[^/]+/stop$", url) for url in tab.requested)
    model_server.script(Reply(QUESTION), Reply("It goes on [1]."))  # the question rewritten, then the answer
    await ask(tab, "And then?")
    await expect(answers(tab).nth(1)).to_contain_text("It goes on")


async def test_a_source_that_only_stands_next_to_a_hit_says_so(moon: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(moon.url)

    async def widened(route: Route) -> None:
        """The server's own answer, whose source is made one that stands next to another."""
        answer = await route.fetch()
        body = (
            (await answer.text())
            .replace('"widens": null', '"widens": 7')
            .replace('"widens":null', '"widens":7')
        )
        await route.fulfill(response=answer, body=body)

    await tab.page.route("**/api/v1/chat", widened)
    await ask(tab)
    await expect(tab.page.locator(".sources")).to_contain_text("Stands next to source 7")
    await answers(tab).get_by_role("button", name="Source 1: Moon").first.click()
    await expect(tab.page.get_by_role("dialog")).to_contain_text("Stands next to source 7")


async def test_a_new_conversation_forgets_the_old_one(moon: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(moon.url)
    await ask(tab)
    await expect(answers(tab)).to_have_count(1)
    sent: list[str | None] = []
    tab.page.on("request", lambda request: sent.append(request.post_data) if "/chat" in request.url else None)
    await ask(tab, "How long is its orbit?")
    await expect(tab.page.locator(".sources")).to_have_count(2)
    await tab.page.get_by_role("button", name="New conversation").click()
    await expect(answers(tab)).to_have_count(0)
    await expect(tab.page.get_by_text("What would you like to know?")).to_be_visible()
    await expect(question_box(tab)).to_be_focused()
    await ask(tab)
    await expect(tab.page.locator(".sources")).to_have_count(1)
    assert ["conversation_id" in (body or "") for body in sent] == [True, False]


async def test_what_the_documents_do_not_answer_is_said_to_be_so(moon: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(moon.url)
    await ask(tab, "Xylophones?")
    await expect(tab.page.get_by_text("Nothing in the documents answers this")).to_be_visible()
    await expect(tab.page.locator(".sources")).to_have_count(0)


async def test_an_answer_without_its_model_says_that_it_quotes(
    generating: Server, model_server: ModelServer, open_tab: OpenTab
) -> None:
    model_server.reply(Reply(fault=Fault.SERVER_ERROR))
    tab = await open_tab(generating.url)
    await ask(tab)
    await expect(tab.page.get_by_text("The language model is not available just now")).to_be_visible()
    await expect(answers(tab)).to_contain_text("basalt")


async def test_an_answer_that_breaks_off_keeps_its_words_and_can_be_asked_again(
    generating: Server, model_server: ModelServer, open_tab: OpenTab
) -> None:
    model_server.reply(Reply("The moon is made of many things.", fault=Fault.CUT, after_tokens=4))
    tab = await open_tab(generating.url)
    await ask(tab)
    problem = tab.page.locator(".problem")
    await expect(problem).to_be_visible()
    await expect(answers(tab)).to_contain_text("The moon")
    model_server.reply(Reply("Of basalt [1]."))
    await problem.get_by_role("button", name="Try again").click()
    await expect(answers(tab)).to_contain_text("Of basalt")
    await expect(problem).to_have_count(0)
    await expect(tab.page.locator(".turn")).to_have_count(1)


async def test_a_server_that_is_gone_in_mid_answer_is_a_sentence(
    generating: Server, model_server: ModelServer, open_tab: OpenTab
) -> None:
    model_server.reply(Reply(LONG, token_delay=0.03))
    async with Line(generating.url) as line:
        tab = await open_tab(line.url)
        await ask(tab)
        await expect(answers(tab)).to_contain_text("basalt")
        await tab.page.clock.install()
        line.cut()
        problem, trying = tab.page.locator(".problem"), tab.page.get_by_text("Connection lost, trying again")
        await expect(trying).to_be_visible()
        await pass_time(tab, problem)
        await expect(problem).to_contain_text("The connection was lost before the answer was complete.")
        await expect(answers(tab)).to_contain_text("basalt")
        await expect(trying).to_have_count(0)
        await problem.get_by_role("button", name="Try again").click()
        await expect(trying).to_be_visible()
        await pass_time(tab, problem)
        await expect(problem).to_contain_text("The service cannot be reached.")


async def pass_time(tab: Tab, until: Locator) -> None:
    """Let time pass quickly on the page until something is there."""
    async with asyncio.timeout(SECONDS):
        while not await until.count():
            await tab.page.clock.run_for(2000)


async def test_an_answer_is_whole_though_its_connection_was_lost(
    generating: Server, model_server: ModelServer, open_tab: OpenTab
) -> None:
    said = " ".join(f"w{number}" for number in range(140))
    model_server.reply(Reply(said, token_delay=0.02))
    async with Line(generating.url) as line:
        tab = await open_tab(line.url)
        sent: list[str | None] = []
        tab.page.on("request", lambda request: sent.append(request.headers.get("idempotency-key")))
        await tab.page.route("**/api/v1/chat", lambda route: drop_after(route, line), times=1)
        await ask(tab)
        for word in ("w5", "w70"):
            await expect(answers(tab)).to_contain_text(word)
            line.drop()
        await expect(tab.page.locator(".answer")).to_have_attribute("aria-busy", "false")
        assert await answers(tab).locator(".prose").inner_text() == said
        assert await tab.page.locator(".problem").count() == 0
    keys = [key for key in sent if key]
    assert len(keys) == 2 and len(set(keys)) == 1 and len(model_server.requests) == 1
    assert sum(url.endswith("/events") for url in tab.requested) >= 2


async def drop_after(route: Route, line: Line) -> None:
    """Send the question, and lose what the server answers."""
    headers = await route.request.all_headers()
    async with httpx.AsyncClient(trust_env=False) as http:
        body = route.request.post_data_buffer
        async with http.stream("POST", route.request.url, headers=headers, content=body) as answer:
            assert answer.status_code == 200
            line.drop()
    await route.abort("connectionreset")


async def test_an_answer_is_stopped_while_its_connection_is_lost(
    generating: Server, model_server: ModelServer, open_tab: OpenTab
) -> None:
    model_server.reply(Reply(LONG, token_delay=0.03))
    async with Line(generating.url) as line:
        tab = await open_tab(line.url)
        await ask(tab)
        await expect(answers(tab)).to_contain_text("basalt")
        line.cut()
        await expect(tab.page.get_by_text("Connection lost, trying again")).to_be_visible()
        await tab.page.get_by_role("button", name="Stop answering").click()
        await expect(tab.page.get_by_text("Stopped", exact=True)).to_be_visible()
        await expect(answers(tab)).to_contain_text("basalt")


async def test_a_refused_token_is_renewed_once(moon: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(moon.url)
    await expect(tab.page.get_by_text("What would you like to know?")).to_be_visible()
    refused = 0

    async def refuse_first(route: Route) -> None:
        nonlocal refused
        refused += 1
        if refused == 1:
            problem = '{"code": "unauthenticated", "detail": "It has ended.", "status": 401}'
            await route.fulfill(status=401, content_type="application/problem+json", body=problem)
        else:
            await route.continue_()

    await tab.page.route("**/api/v1/chat", refuse_first)
    await ask(tab)
    await expect(answers(tab)).to_contain_text("basalt")
    assert sum(url.endswith("/token") for url in tab.requested) == 2


async def test_a_question_may_be_too_long(moon: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(moon.url)
    await question_box(tab).fill("a" * 4003)
    await expect(tab.page.get_by_text("3 characters too long")).to_be_visible()
    await expect(tab.page.get_by_role("button", name="Send")).to_be_disabled()
    await question_box(tab).press("Enter")
    await expect(tab.page.locator(".turn")).to_have_count(0)


async def test_the_page_speaks_bangla(moon: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(moon.url, locale="bn-BD")
    await expect(tab.page.get_by_text("আপনি কী জানতে চান?")).to_be_visible()
    assert await tab.page.locator("html").get_attribute("lang") == "bn"

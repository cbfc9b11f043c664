"""Whatever an answer, a title or a file name holds: nothing runs, nothing is fetched, all of it is text."""

import json
from typing import Any

import pytest
from playwright.async_api import expect

from rag_service.testing.model_server import ModelServer, Reply
from tests.browser.conftest import OpenTab, Tab, answers, ask, sign_in
from tests.conftest import Server

EVIL = "http://evil.example"
ANSWER = f"""The moon [1]. <script>window.ran = 1</script> <img src="{EVIL}/a.png" onerror="window.ran = 1">

<svg onload="window.ran = 1"><image href="{EVIL}/b.png"/></svg> <b onclick="window.ran = 1">bold</b>

![a picture]({EVIL}/c.png) ![by reference][pic] [![linked]({EVIL}/d.png)]({EVIL}/e)

[run](javascript:window.ran=1) [data](data:text/html,<script>window.ran=1</script>) [vb](vbscript:x)
[quoted](<javascript:window.ran=1>) <javascript:window.ran=1> [relative](/admin) [fine](https://example.org/page "t")

[pic]: {EVIL}/f.png
[1]: {EVIL}/g

<iframe src="{EVIL}/h"></iframe><style>@import "{EVIL}/i.css"; * {{ display: none }}</style>
<form action="{EVIL}/j"><button formaction="{EVIL}/k">send</button></form>
<a href="{EVIL}/l" ping="{EVIL}/m" target="_self">html link</a> <link rel="prefetch" href="{EVIL}/n">

| a | <img src={EVIL}/o onerror=window.ran=1> |
| - | - |
| `<script>` | <math><mtext><style><img src onerror="window.ran=1"></style></mtext></math> |

The last words [1].
"""
NAME = '<img src=x onerror="window.ran=1">.md'
DOCUMENT = f"""# Moon <script>window.ran = 1</script> <img src="{EVIL}/t.png">

The moon is made of <svg onload="window.ran=1"> basalt and {{{{ 7 * 7 }}}} <b>anorthosite</b>.
"""
FOREIGN = "img, svg:not([aria-hidden]), script, style, iframe, form, input, link, object, math, b, [onclick], [style]"


async def check_inert(tab: Tab, own: str) -> None:
    assert await tab.page.evaluate("() => window.ran") is None
    assert tab.origins() == {own}, tab.origins()


async def test_an_answer_is_inert(generating: Server, model_server: ModelServer, open_tab: OpenTab) -> None:
    model_server.reply(Reply(ANSWER, token_delay=0.002))
    tab = await open_tab(generating.url)
    await ask(tab)
    prose = answers(tab).locator(".prose")
    await expect(prose).to_contain_text("The last words")
    await expect(prose.locator(FOREIGN)).to_have_count(0)
    await expect(prose).to_contain_text("<script>window.ran = 1</script>")
    await expect(prose).to_contain_text("a picture")
    assert await prose.locator("button").evaluate_all("all => all.map(it => it.className)") == ["mark"] * 3
    links: list[dict[str, Any]] = await prose.locator("a").evaluate_all(
        "all => all.map(it => Object.fromEntries([...it.attributes].map(({name, value}) => [name, value])))"
    )
    assert links
    for link in links:
        assert link.keys() == {"href", "target", "rel"}, link
        assert link["href"].startswith(("https://example.org/", EVIL)), link
        assert link["target"] == "_blank" and link["rel"] == "noopener noreferrer nofollow"
    await check_inert(tab, generating.url)


async def test_a_title_a_name_and_a_quote_are_inert(
    generating: Server, model_server: ModelServer, open_tab: OpenTab
) -> None:
    await generating.http.post("/api/v1/knowledge-bases", json={"slug": "evil", "name": "<b>Evil</b>"})
    uploaded = await generating.upload((NAME, DOCUMENT), slug="evil")
    name = uploaded["documents"][0]["filename"]
    model_server.reply(Reply("Basalt [1]."))
    tab = await open_tab(generating.url)

    # The chat of this page asks `default`; what it would be told of this document stands in a made-up stream.
    source = {
        "number": 1,
        "document_id": "d",
        "chunk_id": "c",
        "filename": name,
        "title": DOCUMENT.splitlines()[0],
        "headings": ["<b>x</b>"],
        "page": 1,
        "score": 1.0,
        "text": DOCUMENT,
        "context": "",
    }
    citation = {**source, "answer_span": [0, 6], "quote": DOCUMENT[:60], "source_span": [0, 60]}
    frames = [
        ("start", {"run_id": "r", "conversation_id": "c", "message_id": "m"}),
        ("sources", {"sources": [source]}),
        ("delta", {"text": "Basalt [1]."}),
        ("citation", citation),
        ("done", {"message_id": "m", "finish_reason": "stop", "model": "m", "degraded": False}),
    ]
    body = "".join(
        f"event: {event}\ndata: {json.dumps(data)}\nid: {number}\n\n"
        for number, (event, data) in enumerate(frames, 1)
    )
    await tab.page.route(
        "**/api/v1/chat", lambda route: route.fulfill(content_type="text/event-stream", body=body)
    )
    await ask(tab)
    await answers(tab).locator(".mark").click()
    drawer = tab.page.locator("rag-quote")
    await expect(drawer.locator("blockquote")).to_have_text(DOCUMENT[:60], use_inner_text=True)
    await drawer.locator("summary").click()
    await expect(drawer.locator(".place")).to_contain_text(name)
    await expect(drawer.locator(FOREIGN)).to_have_count(0)
    await check_inert(tab, generating.url)


@pytest.mark.parametrize("place", ["", "/search?q=moon", "/documents/{id}"])
async def test_the_console_shows_them_as_text(generating: Server, open_tab: OpenTab, place: str) -> None:
    slug = f"evil-{abs(hash(place)) % 1000}"
    await generating.http.post("/api/v1/knowledge-bases", json={"slug": slug, "name": "<b>Evil</b>"})
    uploaded = await generating.upload((NAME, DOCUMENT), slug=slug)
    document = uploaded["documents"][0]
    path = place.format(id=document["id"])
    tab = await open_tab(f"{generating.url}/admin#/knowledge-bases/{slug}{path}")
    await sign_in(tab, generating)
    main = tab.page.locator("main")
    await expect(main.get_by_role("heading", level=1)).to_have_text(
        document["filename"] if "documents" in place else "<b>Evil</b>"
    )
    text = document["filename"] if place == "" else "<b>anorthosite</b>"
    await expect(main.get_by_text(text).first).to_be_visible()
    foreign = FOREIGN.replace("form, input, ", "").replace("style, ", "")
    await expect(main.locator(foreign)).to_have_count(0)
    await check_inert(tab, generating.url)

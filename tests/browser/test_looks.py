"""Every page, light and dark, wide and narrow: usable by those who see little or nothing, and nothing sticks out.

The pictures of each run lie in the test's temporary folder, to be looked at (`pytest --basetemp=…`).
"""

from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import expect

from tests.browser.conftest import WEB, OpenTab, Site, Tab, answers, ask, make_embed, page_with, sign_in
from tests.conftest import Server

AXE = WEB / "node_modules" / "axe-core" / "axe.min.js"
SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]
LOOKS = pytest.mark.parametrize("width", [375, 1440])
RUN_AXE = """async ([within, only]) => {
    const options = { resultTypes: ["violations"], ...(only ? { runOnly: [only] } : {}) };
    const found = await axe.run(within || document, options);
    return found.violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(({ id, nodes }) => id + ": " + nodes.map(({ target, html }) => target + " " + html).join("; "));
}"""


async def check(tab: Tab, name: str, pictures: Path, within: str | None = None) -> None:
    """In light and in dark: nothing serious, nothing wider than the screen, and a picture."""
    width = (tab.page.viewport_size or {"width": 0})["width"]
    for scheme in SCHEMES:
        await tab.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await tab.page.wait_for_timeout(60)
        await tab.page.screenshot(path=pictures / f"{name}-{width}-{scheme}.png")
        # The debugger's way in: a page's own policy lets no script of ours run.
        if not await tab.page.evaluate("() => 'axe' in window"):
            await tab.page.evaluate(AXE.read_text())
        only = None if scheme == "light" else "color-contrast"  # in the dark only the colours are others
        found: list[Any] = await tab.page.evaluate(RUN_AXE, [within, only])
        assert found == [], (name, scheme)
    assert await tab.page.evaluate("() => document.documentElement.scrollWidth") <= width, name


def size(width: int) -> dict[str, int]:
    return {"width": width, "height": 760 if width < 600 else 900}


@LOOKS
async def test_the_chat_page(moon: Server, open_tab: OpenTab, tmp_path: Path, width: int) -> None:
    tab = await open_tab(moon.url, viewport=size(width))
    await expect(tab.page.get_by_text("What would you like to know?")).to_be_visible()
    await check(tab, "chat-empty", tmp_path)
    await ask(tab)
    await expect(tab.page.locator(".sources")).to_be_visible()
    await tab.page.get_by_role("button", name="Answer again").click()
    await expect(tab.page.get_by_label("Version 2 of 2")).to_be_visible()
    await tab.page.get_by_role("button", name="Bad answer").click()
    await check(tab, "chat-answer", tmp_path)
    await answers(tab).locator(".mark").first.click()
    await expect(tab.page.locator("rag-quote blockquote")).to_be_visible()
    await check(tab, "chat-quote", tmp_path)


@LOOKS
async def test_the_widget(moon: Server, site: Site, open_tab: OpenTab, tmp_path: Path, width: int) -> None:
    embed = await make_embed(moon, site.origin)
    site.html = page_with(embed["snippet"])
    tab = await open_tab(site.origin, viewport=size(width))
    await check(tab, "widget-closed", tmp_path, "rag-widget")
    await tab.page.get_by_role("button", name="Open the chat").click()
    await ask(tab)
    await expect(tab.page.locator(".sources")).to_be_visible()
    await check(tab, "widget-answer", tmp_path, "rag-widget")
    await answers(tab).locator(".mark").first.click()
    await expect(tab.page.locator("rag-quote blockquote")).to_be_visible()
    await check(tab, "widget-quote", tmp_path, "rag-widget")


@LOOKS
async def test_the_console(moon: Server, open_tab: OpenTab, tmp_path: Path, width: int) -> None:
    await moon.http.post("/api/v1/knowledge-bases", json={"slug": "looks", "name": "Looks"})
    uploaded = await moon.upload(
        ("tides.md", "# Tides\n\nTides follow the moon.\n"), ("empty.txt", ""), slug="looks"
    )
    document = uploaded["documents"][0]["id"]
    refused = await rated(moon, "Xylophones?", {"rating": "dislike", "reason": "refused_wrongly"})
    assert refused["finish_reason"] == "refused"
    tab = await open_tab(f"{moon.url}/admin", viewport=size(width))
    await check(tab, "console-sign-in", tmp_path)
    await sign_in(tab, moon)
    main = tab.page.locator("main")
    base = f"{moon.url}/admin#/knowledge-bases"
    for name, place, shown in (
        ("bases", "", "Looks"),
        ("documents", "/looks", "tides.md"),
        ("search", "/looks/search?q=tides", "Tides follow the moon."),
        ("unanswered", "/default/unanswered", "Xylophones?"),
        ("chunks", f"/looks/documents/{document}", "Tides follow the moon."),
    ):
        await tab.page.goto(base + place)
        await expect(main.get_by_text(shown).first).to_be_visible()
        await check(tab, f"console-{name}", tmp_path)
    await tab.page.goto(f"{base}/default/search?q=moon")
    await tab.page.get_by_role("button", name="Answer").click()
    await expect(main.get_by_text("refused below")).to_be_visible()
    await check(tab, "console-answer", tmp_path)
    await tab.page.goto(f"{moon.url}/admin#/embeds")
    await tab.page.get_by_role("button", name="New embed").click()
    await check(tab, "console-embeds", tmp_path)
    await tab.page.goto(f"{moon.url}/admin#/keys")
    await tab.page.get_by_role("button", name="New key").click()
    await expect(main.get_by_text("first admin key")).to_be_visible()
    await check(tab, "console-keys", tmp_path)
    await tab.page.goto(f"{moon.url}/admin#/feedback")
    await expect(main.get_by_text("The documents do answer this").first).to_be_visible()
    await check(tab, "console-feedback", tmp_path)
    await tab.page.goto(f"{moon.url}/admin#/audit")
    await expect(main.get_by_text("document.uploaded").first).to_be_visible()
    await check(tab, "console-audit", tmp_path)
    await tab.page.goto(f"{base}/looks")
    await tab.page.get_by_role("button", name="Delete tides.md").click()
    await expect(tab.page.get_by_role("dialog")).to_be_visible()
    await check(tab, "console-delete", tmp_path)


async def rated(server: Server, question: str, feedback: dict[str, str]) -> dict[str, Any]:
    """A question, asked and what it got rated."""
    asked = await server.http.post("/api/v1/chat", json={"message": question, "stream": False})
    turn: dict[str, Any] = asked.json()
    answer = await server.http.put(f"/api/v1/messages/{turn['message_id']}/feedback", json=feedback)
    assert answer.status_code == 200, answer.text
    return turn


async def test_a_page_that_runs_from_right_to_left(
    moon: Server, site: Site, open_tab: OpenTab, tmp_path: Path
) -> None:
    embed = await make_embed(moon, site.origin)
    site.html = page_with(embed["snippet"], lang="ar", direction="rtl")
    tab = await open_tab(site.origin, viewport=size(1440))
    await tab.page.locator("rag-widget .launcher").click()
    await tab.page.locator("rag-composer textarea").fill("What is the moon made of?")
    await tab.page.keyboard.press("Enter")
    await expect(tab.page.locator(".sources")).to_be_visible()
    await check(tab, "widget-rtl", tmp_path, "rag-widget")

"""The widget on somebody else's page: where it may be, where not, and for how long."""

import time

import jwt
import pytest
from playwright.async_api import expect

from rag_service.auth import embeds
from tests.api.conftest import client_of
from tests.browser.conftest import OpenTab, Site, Tab, answers, ask, make_embed, page_with, question_box
from tests.conftest import Server


async def open_widget(tab: Tab, name: str = "Open the chat") -> None:
    await tab.page.get_by_role("button", name=name).click()


async def test_it_works_on_an_allowed_origin(moon: Server, site: Site, open_tab: OpenTab) -> None:
    embed = await make_embed(moon, site.origin)
    site.html = page_with(embed["snippet"])
    tab = await open_tab(site.origin)
    await expect(tab.page.get_by_role("button", name="Open the chat")).to_be_visible()
    assert not any("/token" in url for url in tab.requested)  # nothing is asked for before it is opened
    await open_widget(tab)
    await expect(tab.page.get_by_role("heading", name="Moon desk")).to_be_visible()
    await expect(question_box(tab)).to_be_focused()
    await ask(tab)
    await expect(answers(tab)).to_contain_text("The moon is made of basalt and anorthosite.")
    await answers(tab).get_by_role("button", name="Source 1: Moon").first.press("Enter")
    await expect(tab.page.get_by_role("dialog", name="Source 1 Moon")).to_be_visible()
    assert tab.origins() == {site.origin, moon.url}


async def test_the_styles_of_its_page_do_not_reach_it(moon: Server, site: Site, open_tab: OpenTab) -> None:
    embed = await make_embed(moon, site.origin)
    site.html = page_with(embed["snippet"])
    tab = await open_tab(site.origin, color_scheme="dark")
    await open_widget(tab)
    style = await tab.page.locator("rag-chat .name").evaluate(
        """it => {
            const {letterSpacing, fontFamily, colorScheme} = getComputedStyle(it);
            return [letterSpacing, fontFamily, colorScheme];
        }"""
    )
    assert style[0] == "normal" and style[1].startswith("system-ui") and style[2] == "dark"
    launcher = tab.page.locator("rag-widget .launcher")
    background = await launcher.evaluate("it => getComputedStyle(it).backgroundColor")
    assert background != "rgb(255, 0, 0)"


async def test_escape_closes_one_thing_at_a_time(moon: Server, site: Site, open_tab: OpenTab) -> None:
    embed = await make_embed(moon, site.origin)
    site.html = page_with(embed["snippet"])
    tab = await open_tab(site.origin)
    await open_widget(tab)
    await ask(tab)
    await answers(tab).get_by_role("button", name="Source 1: Moon").first.press("Enter")
    quote = tab.page.get_by_role("dialog", name="Source 1 Moon")
    await expect(quote).to_be_visible()
    await tab.page.keyboard.press("Escape")
    await expect(quote).to_have_count(0)
    await expect(answers(tab)).to_be_visible()
    await tab.page.keyboard.press("Escape")
    await expect(answers(tab)).not_to_be_visible()
    await expect(tab.page.get_by_role("button", name="Open the chat")).to_be_focused()
    await tab.page.keyboard.press("Enter")
    await expect(answers(tab)).to_contain_text("basalt")  # the conversation is still there


async def test_it_is_refused_on_another_origin(moon: Server, site: Site, open_tab: OpenTab) -> None:
    embed = await make_embed(moon, "https://www.example.org")
    site.html = page_with(embed["snippet"])
    tab = await open_tab(site.origin)
    await open_widget(tab)
    await expect(tab.page.get_by_role("alert")).to_have_text("This chat is not available on this site.")
    await expect(question_box(tab)).to_be_disabled()


async def test_it_is_refused_where_only_another_embed_is_allowed(
    moon: Server, site: Site, open_tab: OpenTab
) -> None:
    await make_embed(moon, site.origin)
    embed = await make_embed(moon, "https://www.example.org")
    site.html = page_with(embed["snippet"])
    tab = await open_tab(site.origin)
    await open_widget(tab)
    await expect(tab.page.get_by_role("alert")).to_have_text("This chat is not available on this site.")


@pytest.mark.parametrize("embed_id", ["emb_unknown", "no%20id%20at%20all"])
async def test_a_wrong_id_is_a_sentence(moon: Server, site: Site, open_tab: OpenTab, embed_id: str) -> None:
    await make_embed(moon, site.origin)
    site.html = page_with(f'<script src="{moon.url}/widget.js" data-embed="{embed_id}" defer></script>')
    tab = await open_tab(site.origin)
    await open_widget(tab)
    await expect(tab.page.get_by_role("alert")).to_have_text("This chat is switched off.")


async def test_a_revoked_embed_ends_at_once(moon: Server, site: Site, open_tab: OpenTab) -> None:
    embed = await make_embed(moon, site.origin)
    await make_embed(moon, site.origin)  # the origin stays allowed, for another chat
    site.html = page_with(embed["snippet"])
    tab = await open_tab(site.origin)
    await open_widget(tab)
    await ask(tab)
    await expect(answers(tab)).to_contain_text("basalt")
    assert (await moon.http.delete(f"/api/v1/embeds/{embed['id']}")).status_code == 204
    await ask(tab, "And its orbit?")
    await expect(tab.page.locator(".problem")).to_contain_text("This chat is switched off.")
    await expect(answers(tab).first).to_contain_text("basalt")
    await expect(tab.page.get_by_role("button", name="Try again")).to_have_count(0)


async def test_a_token_is_renewed_before_it_ends(
    moon: Server, site: Site, open_tab: OpenTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeds, "TOKEN_SECONDS", 2)
    embed = await make_embed(moon, site.origin)
    site.html = page_with(embed["snippet"])
    tab = await open_tab(site.origin)
    await open_widget(tab)
    await ask(tab)
    await expect(answers(tab)).to_contain_text("basalt")
    async with tab.page.expect_response(lambda response: response.url.endswith("/token")) as renewed:
        pass
    assert (await renewed.value).status == 200
    await tab.page.wait_for_timeout(1000)  # the first token has ended by now
    sent: list[str] = []
    tab.page.on("request", lambda request: sent.append(request.post_data or ""))
    await ask(tab, "How long does the moon take to circle the Earth?")
    await expect(answers(tab).nth(1)).to_contain_text("27 days")
    assert any("conversation_id" in body for body in sent)  # the visitor stayed the same


async def test_nothing_of_a_visit_is_stored(moon: Server, site: Site, open_tab: OpenTab) -> None:
    embed = await make_embed(moon, site.origin)
    site.html = page_with(embed["snippet"])
    tab = await open_tab(site.origin)
    await open_widget(tab)
    await ask(tab)
    await expect(answers(tab)).to_contain_text("basalt")
    assert await tab.page.evaluate("() => localStorage.length + sessionStorage.length") == 0
    assert await tab.page.context.cookies() == []


async def test_a_server_that_cannot_be_reached_is_a_sentence_and_a_way_on(
    moon: Server, site: Site, open_tab: OpenTab
) -> None:
    embed = await make_embed(moon, site.origin)
    site.html = page_with(embed["snippet"])
    tab = await open_tab(site.origin)
    await tab.page.context.set_offline(True)
    await open_widget(tab)
    await expect(tab.page.get_by_role("alert")).to_contain_text("The service cannot be reached.")
    await tab.page.context.set_offline(False)
    await tab.page.get_by_role("button", name="Try again").click()
    await expect(tab.page.get_by_text("What would you like to know?")).to_be_visible()


async def test_on_a_phone_it_takes_the_screen(moon: Server, site: Site, open_tab: OpenTab) -> None:
    embed = await make_embed(moon, site.origin)
    site.html = page_with(embed["snippet"])
    tab = await open_tab(site.origin, viewport={"width": 375, "height": 700}, has_touch=True, is_mobile=True)
    await open_widget(tab)
    box = await tab.page.locator("rag-widget dialog").bounding_box()
    assert box == {"x": 0, "y": 0, "width": 375, "height": 700}
    assert await tab.page.evaluate("() => getComputedStyle(document.documentElement).overflow") == "hidden"
    await tab.page.locator("rag-widget dialog").get_by_role("button", name="Close the chat").click()
    await expect(tab.page.get_by_role("button", name="Buy")).to_be_visible()
    await expect(tab.page.get_by_role("button", name="Open the chat")).to_be_focused()
    assert await tab.page.evaluate("() => document.documentElement.style.overflow") == ""


async def test_it_follows_the_language_and_direction_of_its_page(
    moon: Server, site: Site, open_tab: OpenTab
) -> None:
    embed = await make_embed(moon, site.origin)
    site.html = page_with(embed["snippet"], lang="ar-EG", direction="rtl")
    tab = await open_tab(site.origin)
    await open_widget(tab, "افتح المحادثة")
    await expect(tab.page.get_by_text("ماذا تريد أن تعرف؟")).to_be_visible()
    launcher = await tab.page.locator("rag-widget .launcher").bounding_box()
    assert launcher and launcher["x"] < 100  # the inline end of a page that runs from right to left


async def test_the_script_says_what_language_and_theme(moon: Server, site: Site, open_tab: OpenTab) -> None:
    embed = await make_embed(moon, site.origin)
    site.html = page_with(embed["snippet"].replace(" defer", ' data-lang="bn" data-theme="dark" defer'))
    tab = await open_tab(site.origin, color_scheme="light")
    await open_widget(tab, "চ্যাট খুলুন")
    await expect(tab.page.get_by_text("আপনি কী জানতে চান?")).to_be_visible()
    shade = "it => getComputedStyle(it).backgroundColor"
    assert await tab.page.locator("rag-widget dialog").evaluate(shade) == "rgb(25, 30, 29)"


async def test_twice_the_snippet_is_one_widget(moon: Server, site: Site, open_tab: OpenTab) -> None:
    embed = await make_embed(moon, site.origin)
    site.html = page_with(embed["snippet"] * 2)
    tab = await open_tab(site.origin)
    await expect(tab.page.get_by_role("button", name="Open the chat")).to_have_count(1)


async def test_the_page_says_who_its_visitor_is(moon: Server, site: Site, open_tab: OpenTab) -> None:
    embed = await make_embed(moon, site.origin)
    path = f"/api/v1/embeds/{embed['id']}"
    secret = (await moon.http.post(f"{path}/identity-secret", json={})).json()["secret"]
    await moon.http.patch(path, json={"require_identity": True})
    identity = jwt.encode(
        {"aud": embed["id"], "sub": "anna", "exp": int(time.time()) + 600}, secret, algorithm="HS256"
    )
    snippet = embed["snippet"]
    for html in (
        snippet.replace("data-embed", f'data-identity="{identity}" data-embed'),
        f"<script>window.ragIdentity = async () => {identity!r}</script>{snippet}",
    ):
        site.html = page_with(html)
        tab = await open_tab(site.origin)
        await open_widget(tab)
        await ask(tab)
        await expect(answers(tab)).to_contain_text("The moon is made of basalt")
    site.html = page_with(snippet)
    stranger = await open_tab(site.origin)
    await open_widget(stranger)
    await expect(stranger.page.locator(".problem")).to_contain_text("Sign in to this site")
    granted = await moon.services.embeds.token(
        embed["id"], origin=site.origin, own_origin=moon.url, identity=identity
    )
    async with client_of(moon.url, granted.token) as anna:
        assert len((await anna.get("/api/v1/conversations")).json()["items"]) == 2

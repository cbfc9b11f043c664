"""`/admin`: from signing in to a document that is found, and one that is not any more."""

import re
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from playwright.async_api import FilePayload, expect

from tests.api.conftest import client_of
from tests.browser.conftest import (
    QUESTION,
    OpenTab,
    Site,
    Tab,
    answers,
    ask,
    page_with,
    question_box,
    sign_in,
    working,
)
from tests.conftest import Server


async def new_base(server: Server) -> str:
    slug = f"kb-{uuid4().hex[:8]}"
    answer = await server.http.post("/api/v1/knowledge-bases", json={"slug": slug, "name": slug.upper()})
    assert answer.status_code == 201, answer.text
    return slug


async def visit(open_tab: OpenTab, server: Server, place: str = "") -> Tab:
    tab = await open_tab(f"{server.url}/admin{place}")
    await sign_in(tab, server)
    return tab


async def test_a_wrong_key_is_refused(moon: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(f"{moon.url}/admin")
    key = tab.page.get_by_label("API key")
    await expect(key).to_be_focused()
    for wrong, said in (
        ("rag_wrong", "This key is not known here"),
        ("চাবি", "This is not a key"),
        (" ", "Enter a key"),
    ):
        await key.fill(wrong)
        await key.press("Enter")
        await expect(tab.page.get_by_role("alert")).to_contain_text(said)
    _, chat_key = await moon.services.keys.create("a guest", "chat")
    await key.fill(chat_key)
    await key.press("Enter")
    await expect(tab.page.get_by_role("alert")).to_contain_text("This needs a key with the role 'admin'")


async def test_a_key_opens_the_console_for_this_page_alone(moon: Server, open_tab: OpenTab) -> None:
    tab = await visit(open_tab, moon)
    await expect(tab.page.get_by_role("heading", name="Knowledge bases", level=1)).to_be_focused()
    assert await tab.page.evaluate("() => localStorage.length + sessionStorage.length") == 0
    await tab.page.reload()
    await expect(tab.page.get_by_label("API key")).to_be_visible()


async def test_a_ticked_box_keeps_the_key_until_sign_out(moon: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(f"{moon.url}/admin#/embeds")
    await tab.page.get_by_label("Stay signed in until this tab is closed").check()
    await sign_in(tab, moon)
    await tab.page.reload()
    await expect(tab.page.get_by_role("heading", name="Embeds", level=1)).to_be_visible()
    await tab.page.get_by_role("button", name="Sign out").click()
    await expect(tab.page.get_by_label("API key")).to_be_visible()
    assert await tab.page.evaluate("() => sessionStorage.length") == 0


async def test_a_key_revoked_meanwhile_ends_the_session(moon: Server, open_tab: OpenTab) -> None:
    tab = await visit(open_tab, moon)
    await tab.page.route("**/api/v1/embeds", lambda route: route.fulfill(status=401, body="{}"))
    await tab.page.get_by_role("link", name="Embeds").click()
    await expect(tab.page.get_by_role("alert")).to_contain_text("The key is no longer accepted.")
    await expect(tab.page.get_by_label("API key")).to_be_visible()


async def test_from_an_empty_knowledge_base_to_an_answered_question(
    moon: Server, site: Site, open_tab: OpenTab, tmp_path: Path
) -> None:
    slug = f"caves-{uuid4().hex[:6]}"
    (tmp_path / "caves.md").write_text("# Caves\n\nStalactites hang from the ceiling of a cave.\n")
    (tmp_path / "empty.txt").write_text("")
    tab = await visit(open_tab, moon)
    page = tab.page

    await page.get_by_role("button", name="New knowledge base").click()
    await page.get_by_label("Name", exact=True).fill(slug)
    await expect(page.get_by_label("Short name")).to_have_value(slug)
    await page.get_by_role("button", name="Create").click()
    await expect(page.get_by_text("There is no document here yet")).to_be_visible()

    async with working(moon):
        await page.locator("input[type=file]").set_input_files(
            [tmp_path / "caves.md", tmp_path / "empty.txt"]
        )
        uploads = page.get_by_role("region", name="Uploads")
        await expect(uploads.locator("li.ready")).to_contain_text("caves.md")
        await expect(uploads.locator("li.failed .under")).to_contain_text(re.compile("empty", re.IGNORECASE))
        await expect(uploads.get_by_role("status")).to_have_text("1 file done, 1 failed")
    row = page.get_by_role("row", name="caves.md")
    await expect(row).to_contain_text("Ready")

    await row.get_by_role("link", name="caves.md").click()
    await expect(page.get_by_text("Stalactites hang from the ceiling of a cave.")).to_be_visible()
    await page.go_back()
    await page.get_by_role("link", name="Search").click()
    await page.get_by_label("Question").fill("Where do stalactites hang?")
    await page.get_by_label("Question").press("Enter")
    await expect(page.locator(".hit").first).to_contain_text("Stalactites hang from the ceiling")
    await expect(page.locator(".hit .score").first).to_have_text(re.compile(r"Score 0\.\d{3}"))

    await page.get_by_role("link", name="Embeds").click()
    await page.get_by_role("button", name="New embed").click()
    await page.get_by_label("Name", exact=True).fill(f"Desk {slug}")
    await page.get_by_label("Knowledge base", exact=True).select_option(slug)
    await page.get_by_role("textbox", name="Allowed origins").fill(site.origin)
    await page.get_by_role("button", name="Create").click()
    card = page.locator("li.embed", has_text=f"Desk {slug}")
    site.html = page_with(await card.locator("code").inner_text())

    shop = await open_tab(site.origin)
    await shop.page.get_by_role("button", name="Open the chat").click()
    await ask(shop, "Where do stalactites hang?")
    await expect(answers(shop)).to_contain_text("Stalactites hang from the ceiling of a cave.")

    await card.get_by_role("button", name="Revoke").click()
    await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    await expect(card).to_have_count(0)
    await ask(shop, "Again: where?")
    await expect(shop.page.locator(".problem")).to_be_visible()
    assert tab.origins() == {moon.url}


async def test_what_is_deleted_is_not_found(moon: Server, open_tab: OpenTab) -> None:
    slug = await new_base(moon)
    await moon.upload(("tides.md", "# Tides\n\nTides follow the moon.\n"), slug=slug)
    tab = await visit(open_tab, moon, f"#/knowledge-bases/{slug}")
    page = tab.page
    await page.get_by_role("button", name="Delete tides.md").click()
    dialog = page.get_by_role("dialog", name="Delete “tides.md”?")
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("row", name="tides.md")).to_be_visible()
    await page.get_by_role("button", name="Delete tides.md").click()
    await dialog.get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("There is no document here yet")).to_be_visible()
    await expect(page.get_by_text("“tides.md” was deleted.")).to_be_visible()
    await page.get_by_role("link", name="Search").click()
    await page.get_by_label("Question").fill("What do tides follow?")
    await page.get_by_label("Question").press("Enter")
    await expect(page.get_by_text("Nothing was found")).to_be_visible()


async def test_a_deleted_document_answers_no_question(moon: Server, open_tab: OpenTab) -> None:
    await moon.upload(("comets.md", "# Comets\n\nKometenschweife glitzern.\n"))
    tab = await open_tab(moon.url)
    await ask(tab, "Kometenschweife?")
    await expect(answers(tab)).to_contain_text("Kometenschweife glitzern.")
    console = await visit(open_tab, moon, "#/knowledge-bases/default")
    await console.page.get_by_role("button", name="Delete comets.md").click()
    await console.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(console.page.get_by_role("row", name="comets.md")).to_have_count(0)
    await tab.page.get_by_role("button", name="New conversation").click()
    await ask(tab, "Kometenschweife?")
    await expect(tab.page.locator(".answer")).to_have_attribute("aria-busy", "false")
    await expect(answers(tab)).to_be_visible()
    await expect(answers(tab)).not_to_contain_text("glitzern")


async def test_files_are_dropped_anywhere_on_the_page(moon: Server, open_tab: OpenTab) -> None:
    slug = await new_base(moon)
    tab = await visit(open_tab, moon, f"#/knowledge-bases/{slug}")
    page = tab.page
    await expect(page.get_by_text("There is no document here yet")).to_be_visible()
    dropped = await page.evaluate_handle(
        """() => {
            const data = new DataTransfer();
            data.items.add(new File(["# One\\n\\nFirst."], "one.md"));
            data.items.add(new File(["# Two\\n\\nSecond."], "two.md"));
            data.items.add(new File([new Uint8Array([0, 1, 2, 255, 254, 0, 0, 7])], "program.exe"));
            return data;
        }"""
    )
    await page.locator("body").dispatch_event("dragenter", {"dataTransfer": dropped})
    await expect(page.get_by_text("Drop them anywhere")).to_be_visible()
    async with working(moon):
        await page.locator("body").dispatch_event("drop", {"dataTransfer": dropped})
        uploads = page.get_by_role("region", name="Uploads")
        await expect(uploads.locator("li.ready")).to_have_count(2)
        await expect(uploads.locator("li.failed")).to_contain_text("program.exe")
        assert await uploads.locator("li.failed .under").inner_text()
    await expect(page.get_by_role("row", name=".md")).to_have_count(2)


async def test_a_job_is_stopped_and_tried_again(moon: Server, open_tab: OpenTab) -> None:
    slug = await new_base(moon)
    files = {"files": ("tides.md", b"# Tides\n\nTides follow the moon.\n")}
    answer = await moon.http.post(f"/api/v1/knowledge-bases/{slug}/documents", files=files)
    assert answer.status_code == 202  # and nobody reads it yet
    tab = await visit(open_tab, moon, f"#/knowledge-bases/{slug}")
    row = tab.page.get_by_role("row", name="tides.md")
    await row.get_by_role("button", name="Stop reading: tides.md").click()
    await expect(row).to_contain_text("The job was cancelled.")
    await row.get_by_role("button", name="Try again: tides.md").click()
    await expect(row).to_contain_text("Reading")
    await row.get_by_text("1 earlier attempt").click()
    await expect(row.get_by_role("listitem")).to_contain_text("The job was cancelled.")
    async with working(moon):
        await expect(row).to_contain_text("Ready")
    await expect(row.get_by_role("button", name=re.compile("tides"))).to_have_count(1)  # Delete

    stars = FilePayload(name="stars.md", mimeType="text/markdown", buffer=b"# Stars\n\nStars shine.\n")
    await tab.page.locator("input[type=file]").set_input_files(stars)
    upload = tab.page.get_by_role("region", name="Uploads").locator("li")
    await upload.get_by_role("button", name="Stop reading: stars.md").click()
    await expect(upload.locator(".under")).to_contain_text("The job was cancelled.")


async def test_a_key_is_made_shown_once_rotated_and_revoked(moon: Server, open_tab: OpenTab) -> None:
    slug, name = await new_base(moon), f"Desk {uuid4().hex[:6]}"
    tab = await visit(open_tab, moon)
    page = tab.page
    await page.get_by_role("link", name="Keys").click()
    await page.get_by_role("button", name="New key").click()
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_label("Knowledge bases", exact=True).select_option(slug)
    await page.get_by_role("button", name="Create").click()
    shown = page.locator(".shown code")
    first = await shown.inner_text()
    row = page.get_by_role("row", name=name)
    await expect(row).to_contain_text(slug)
    async with client_of(moon.url, first) as caller:
        assert (await caller.get(f"/api/v1/knowledge-bases/{slug}")).status_code == 200
        assert (await caller.get("/api/v1/knowledge-bases/default")).status_code == 404
        await row.get_by_role("button", name="Rotate").click()
        await page.get_by_role("dialog").get_by_role("button", name="Rotate").click()
        await expect(shown).not_to_have_text(first)
        await row.get_by_role("button", name="Revoke").click()
        await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        await expect(row).to_contain_text("Revoked")
        await expect(shown).to_have_count(0)
        assert (await caller.get("/api/v1/knowledge-bases")).status_code == 401
    await page.get_by_role("link", name="Audit log").click()
    for action in ("key.created", "key.rotated", "key.revoked"):
        await expect(page.get_by_role("row", name=action).first).to_contain_text("first admin key")


async def test_what_was_refused_and_what_was_said_of_it_is_listed(moon: Server, open_tab: OpenTab) -> None:
    comment = f"<b>no</b> {uuid4().hex[:6]}"
    for question in ("Marimbas?", "marimbas ?"):
        asked = await moon.http.post("/api/v1/chat", json={"message": question, "stream": False})
    said = {"rating": "dislike", "reason": "incomplete", "comment": comment}
    answer = await moon.http.put(f"/api/v1/messages/{asked.json()['message_id']}/feedback", json=said)
    assert answer.status_code == 200
    tab = await visit(open_tab, moon, "#/knowledge-bases/default")
    await tab.page.get_by_role("link", name="Unanswered").click()
    row = tab.page.get_by_role("row", name="marimbas ?")
    await expect(row).to_contain_text("2 ×")
    await expect(row).to_contain_text("Marimbas?")
    await tab.page.get_by_role("link", name="Feedback").click()
    row = tab.page.get_by_role("row", name=comment)
    await expect(row).to_contain_text("It is not complete")
    await row.get_by_text("The answer").click()
    await expect(row.locator("details .said")).to_contain_text(asked.json()["answer"][:30])


async def test_how_chunks_were_found_is_told_of_a_search_and_of_an_answer(
    moon: Server, open_tab: OpenTab
) -> None:
    tab = await visit(open_tab, moon, f"#/knowledge-bases/default/search?q={quote(QUESTION)}")
    found = tab.page.get_by_role("table", name="How they were found").get_by_role("row").nth(1)
    await expect(found).to_contain_text("Moon")
    await expect(found).to_contain_text("#1 ·")
    await tab.page.get_by_role("button", name="Answer").click()
    await expect(tab.page.get_by_text("refused below 0.030")).to_be_visible()
    await expect(tab.page.locator(".card .text")).to_contain_text("basalt and anorthosite")
    await expect(found.get_by_role("cell")).to_have_count(6)


async def test_a_failed_call_is_a_sentence_and_a_way_on(moon: Server, open_tab: OpenTab) -> None:
    slug = await new_base(moon)
    tab = await visit(open_tab, moon)
    await tab.page.get_by_role("button", name="New knowledge base").click()
    await tab.page.get_by_label("Name", exact=True).fill(slug)
    await tab.page.get_by_role("button", name="Create").click()
    await expect(tab.page.get_by_role("alert")).to_contain_text(slug)
    await tab.page.context.set_offline(True)
    await tab.page.get_by_role("link", name="Embeds").click()
    await expect(tab.page.get_by_role("alert").first).to_contain_text("The server cannot be reached.")
    await tab.page.context.set_offline(False)
    await tab.page.get_by_role("button", name="Try again").first.click()
    await expect(tab.page.get_by_text("this server's own")).to_be_visible()


async def test_a_place_that_is_not_there_is_said_to_be_missing(moon: Server, open_tab: OpenTab) -> None:
    tab = await visit(open_tab, moon, "#/knowledge-bases/no-such-base")
    await expect(tab.page.get_by_role("alert")).to_contain_text("no-such-base")
    await tab.page.goto(f"{moon.url}/admin#/nowhere/at/all")
    await expect(tab.page.get_by_text("There is nothing here")).to_be_visible()


async def test_the_chat_page_needs_no_key(moon: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(moon.url)
    await expect(question_box(tab)).to_be_enabled()

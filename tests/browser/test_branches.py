"""Answers on the page: rated, made anew, asked for in other words, and leafed through."""

from typing import Any

from playwright.async_api import Locator, expect

from rag_service.testing.model_server import ModelServer, Reply
from tests.browser.conftest import OpenTab, Tab, answers, ask
from tests.conftest import Server


def button(tab: Tab, name: str) -> Locator:
    return tab.page.get_by_role("button", name=name, exact=True)


async def feedback(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await server.http.get("/api/v1/feedback")).json()["items"]
    return found


async def test_an_answer_is_rated_made_anew_worded_anew_and_leafed_through(
    generating: Server, model_server: ModelServer, open_tab: OpenTab
) -> None:
    model_server.script(Reply("The moon is basalt [1]."), Reply("Anorthosite it is [1]."))
    tab = await open_tab(generating.url)
    await ask(tab)
    await expect(answers(tab)).to_contain_text("The moon is basalt")
    await expect(button(tab, "The version before")).to_have_count(0)

    async with tab.page.expect_response(lambda one: one.url.endswith("/feedback")):
        await button(tab, "Bad answer").click()
    await expect(button(tab, "Bad answer")).to_have_attribute("aria-pressed", "true")
    async with tab.page.expect_response(lambda one: one.url.endswith("/feedback")):
        await tab.page.get_by_label("What is wrong with it?").select_option("incomplete")
    (said,) = await feedback(generating)
    assert (said["rating"], said["reason"], said["answer"]) == (
        "dislike",
        "incomplete",
        "The moon is basalt [1].",
    )

    await button(tab, "Answer again").click()
    await expect(answers(tab)).to_contain_text("Anorthosite it is")
    await expect(tab.page.get_by_label("Version 2 of 2")).to_have_text("2/2")
    await expect(button(tab, "Bad answer")).to_have_attribute("aria-pressed", "false")
    await button(tab, "The version before").click()
    await expect(answers(tab)).to_contain_text("The moon is basalt")
    await expect(tab.page.get_by_label("What is wrong with it?")).to_have_value("incomplete")
    assert len(model_server.requests) == 2  # looking back asks nothing of the model

    model_server.script(Reply("It weighs 73 quintillion tonnes [1]."))
    await button(tab, "Change the question").click()
    box = tab.page.get_by_role("textbox", name="Change the question")
    await expect(box).to_be_focused()
    await box.fill("How many tonnes does the moon weigh?")
    await tab.page.locator("form.edit").get_by_role("button", name="Send").click()
    await expect(answers(tab)).to_have_count(1)
    await expect(answers(tab)).to_contain_text("73 quintillion")
    await expect(tab.page.locator(".question")).to_contain_text("How many tonnes")
    await tab.page.locator(".of-question").get_by_role("button", name="The version before").click()
    await expect(tab.page.locator(".question")).to_contain_text("What is the moon made of?")
    await expect(answers(tab)).to_contain_text("Anorthosite it is")  # the newest below it

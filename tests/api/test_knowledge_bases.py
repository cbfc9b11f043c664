"""Knowledge bases over HTTP: created with settings that take effect, changed, deleted."""

import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.testing.model_server import ModelServer
from tests.api.conftest import MOON, Guest, NewBase, client_of
from tests.api.support import check_problem, whole
from tests.conftest import Serve, Server

API = "/api/v1"
BASES = f"{API}/knowledge-bases"
SETTINGS = {
    "language": "bn",
    "prompt": "answer",
    "refusal_score": 0.5,
    "chunk_tokens": 64,
    "retention_days": 30,
}
UNSET = {**dict.fromkeys(SETTINGS), "prompt": "answer"}


async def test_it_is_created_with_its_settings_and_read_back(quoting: Server, guest: Guest) -> None:
    slug = f"set-{uuid4().hex[:8]}"
    answer = await quoting.http.post(BASES, json={"slug": slug, "name": "Set", **SETTINGS})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made == {**made, "slug": slug, "name": "Set", "documents": 0, **SETTINGS}
    assert made["embedding_model"] == quoting.services.embedder.fingerprint
    assert (await quoting.http.get(f"{BASES}/{slug}")).json() == made
    listed = (await quoting.http.get(BASES)).json()["items"]
    assert made in listed
    assert (await (await guest(quoting)).get(f"{BASES}/{slug}")).json() == made


async def test_what_is_not_set_is_as_the_server_has_it(quoting: Server, new_base: NewBase) -> None:
    made = (await quoting.http.get(f"{BASES}/{await new_base(quoting)}")).json()
    assert made == {**made, **UNSET}


async def test_a_change_keeps_what_it_leaves_out_and_null_unsets(quoting: Server, new_base: NewBase) -> None:
    path = f"{BASES}/{await new_base(quoting)}"
    changed = (await quoting.http.patch(path, json=SETTINGS)).json()
    assert changed == {**changed, **SETTINGS}
    changed = (await quoting.http.patch(path, json={"name": "Other", "refusal_score": None})).json()
    assert changed == {**changed, **SETTINGS, "name": "Other", "refusal_score": None}
    assert (await quoting.http.get(path)).json() == changed


BAD: list[dict[str, Any]] = [
    {"language": "english"},
    {"language": "english language"},
    {"language": "en\n"},
    {"language": "e"},
    {"language": "en_US"},
    {"language": ""},
    {"language": 5},
    {"prompt": "../answer"},
    {"prompt": ""},
    {"prompt": None},
    {"refusal_score": 1.5},
    {"refusal_score": -1.01},
    {"refusal_score": "high"},
    {"chunk_tokens": 31},
    {"chunk_tokens": 8193},
    {"chunk_tokens": 64.5},
    {"retention_days": 0},
    {"retention_days": 36501},
    {"name": None},
    {"name": "a\x00b"},
    {"embedding_model": "other"},
    {"owner_id": "x"},
    {"deleted_at": None},
]


@pytest.mark.parametrize("change", BAD, ids=str)
async def test_a_setting_that_cannot_be_used_is_refused(quoting: Server, change: dict[str, Any]) -> None:
    made = {"slug": f"bad-{uuid4().hex[:8]}", "name": "x", **change}
    problem = check_problem(await quoting.http.post(BASES, json=made), 422, "invalid_input")
    assert {error["field"] for error in problem["errors"]} == set(change)
    check_problem(await quoting.http.patch(f"{BASES}/default", json=change), 422, "invalid_input")
    check_problem(await quoting.http.get(f"{BASES}/{made['slug']}"), 404, "knowledge_base_not_found")


@pytest.mark.parametrize("language", ["en", "pt-BR", "zh-Hant-TW", "de-CH-1996", "sr-Latn", "bho", "EN-us"])
async def test_a_language_is_a_tag(quoting: Server, new_base: NewBase, language: str) -> None:
    path = f"{BASES}/{await new_base(quoting)}"
    assert (await quoting.http.patch(path, json={"language": language})).json()["language"] == language
    refused = check_problem(
        await quoting.http.patch(path, json={"language": "english"}), 422, "invalid_input"
    )
    assert "`en`" in refused["detail"]


async def test_nothing_to_change_and_nobody_to_change_are_refused(quoting: Server) -> None:
    check_problem(await quoting.http.patch(f"{BASES}/default", json={}), 422, "invalid_input")
    for method in ("GET", "DELETE"):
        answer = await quoting.http.request(method, f"{BASES}/nowhere")
        check_problem(answer, 404, "knowledge_base_not_found")
    answer = await quoting.http.patch(f"{BASES}/nowhere", json={"name": "x"})
    check_problem(answer, 404, "knowledge_base_not_found")
    for slug in ("a%00b", "DEFAULT", "a%27b", "x" * 64):
        check_problem(await quoting.http.delete(f"{BASES}/{slug}"), 422, "invalid_input")


async def test_an_unknown_prompt_is_refused_with_those_that_exist(quoting: Server) -> None:
    body = {"slug": "never-made", "name": "x", "prompt": "answer-loudly"}
    for answer in (
        await quoting.http.post(BASES, json=body),
        await quoting.http.patch(f"{BASES}/default", json={"prompt": "question"}),
    ):
        assert "answer" in check_problem(answer, 422, "unknown_prompt")["detail"]


async def test_its_refusal_score_decides_from_the_next_question_on(
    quoting: Server, new_base: NewBase
) -> None:
    slug = await new_base(quoting)
    await quoting.upload(("moon.md", MOON), slug=slug)
    question = "What is the moon made of?"
    first = await whole(quoting.http, question, knowledge_base=slug)
    assert first["finish_reason"] == "stop"
    await quoting.http.patch(f"{BASES}/{slug}", json={"refusal_score": 1.0})
    for asked in ({"knowledge_base": slug}, {"conversation_id": first["conversation_id"]}):
        assert (await whole(quoting.http, question, **asked))["finish_reason"] == "refused"
    assert (await whole(quoting.http, question))["finish_reason"] == "stop"
    await quoting.http.patch(f"{BASES}/{slug}", json={"refusal_score": None})
    assert (await whole(quoting.http, question, knowledge_base=slug))["finish_reason"] == "stop"


def variants(folder: Path, shipped: Path, **bodies: str) -> Path:
    shutil.copytree(shipped, folder)
    for name, body in bodies.items():
        front = f"---\nname: {name}\nversion: 1\nrole: system\nvariables: []\n---\n"
        (folder / f"{name}.md").write_text(front + body)
    return folder


async def test_its_prompt_is_what_the_model_is_sent(
    serve: Serve, model_server: ModelServer, tmp_path: Path
) -> None:
    shipped = Path(__file__).parents[2] / "prompts"
    folder = variants(tmp_path / "prompts", shipped, answer_brief="Answer in one word.")
    model = {"chat_model": "openai:test-model", "openai_base_url": model_server.base_url}
    async with serve(prompts_dir=folder, **model) as server:
        await server.upload(("moon.md", MOON))
        changed = await server.http.patch(f"{BASES}/default", json={"prompt": "answer_brief"})
        assert changed.json()["prompt"] == "answer_brief"
        answer = await whole(server.http, "What is the moon made of?")
        sent = model_server.requests[-1].json["messages"]
        assert sent[0] == {"role": "system", "content": "Answer in one word."}
        stored = await server.http.get(f"{API}/conversations/{answer['conversation_id']}/messages")
        assert "answer_brief" in {prompt["name"] for prompt in stored.json()["items"][-1]["prompts"]}


async def test_a_prompt_whose_file_is_gone_does_not_keep_it_from_answering(
    serve: Serve, model_server: ModelServer
) -> None:
    model = {"chat_model": "openai:test-model", "openai_base_url": model_server.base_url}
    async with serve(**model) as server:
        await server.upload(("moon.md", MOON))
        async with server.services.database.transaction() as session:
            await KnowledgeBases(session).change("default", {"prompt": "answer-gone"})
        assert (await whole(server.http, "What is the moon made of?"))["finish_reason"] == "stop"
        assert "You answer questions" in model_server.requests[-1].json["messages"][0]["content"]


async def test_a_deleted_one_is_gone_at_once_with_all_that_was_in_it(
    quoting: Server, new_base: NewBase
) -> None:
    slug = await new_base(quoting)
    document = (await quoting.upload(("moon.md", MOON), slug=slug))["documents"][0]["id"]
    turn = await whole(quoting.http, "What is the moon made of?", knowledge_base=slug)
    waiting = await quoting.http.post(f"{BASES}/{slug}/documents", files={"files": ("late.txt", b"Late.")})
    job = waiting.json()["jobs"][0]["id"]
    embed = {"name": "Site", "knowledge_base": slug, "origins": ["https://deleted.example"]}
    made = (await quoting.http.post(f"{API}/embeds", json=embed)).json()["id"]
    origin = {"Origin": "https://deleted.example"}
    async with client_of(quoting.url, None) as page:
        token = (await page.post(f"{API}/embeds/{made}/token", json={}, headers=origin)).json()["token"]

        assert (await quoting.http.delete(f"{BASES}/{slug}")).status_code == 204

        visitor = {**origin, "Authorization": f"Bearer {token}"}
        check_problem(await page.get(f"{API}/conversations", headers=visitor), 401, "unauthenticated")
        refused = await page.post(f"{API}/embeds/{made}/token", json={}, headers=origin)
        check_problem(refused, 404, "embed_not_found")
        assert not await quoting.services.embeds.allows(origin["Origin"])
    get, post = quoting.http.get, quoting.http.post
    check_problem(await quoting.http.delete(f"{BASES}/{slug}"), 404, "knowledge_base_not_found")
    check_problem(await get(f"{BASES}/{slug}"), 404, "knowledge_base_not_found")
    check_problem(await get(f"{BASES}/{slug}/documents"), 404, "knowledge_base_not_found")
    search = {"query": "moon", "knowledge_base": slug}
    check_problem(await post(f"{API}/search", json=search), 404, "knowledge_base_not_found")
    chat = {"message": "moon", "knowledge_base": slug}
    check_problem(await post(f"{API}/chat", json=chat), 404, "knowledge_base_not_found")
    for path in ("", "/chunks", "/versions", "/content"):
        check_problem(await get(f"{API}/documents/{document}{path}"), 404, "document_not_found")
    for path in ("/reindex", "/versions/1/restore"):
        check_problem(await post(f"{API}/documents/{document}{path}"), 404, "document_not_found")
    conversation = turn["conversation_id"]
    gone = await get(f"{API}/conversations/{conversation}/messages")
    check_problem(gone, 404, "conversation_not_found")
    again = await post(f"{API}/chat", json={"message": "moon", "conversation_id": conversation})
    check_problem(again, 404, "conversation_not_found")
    shown = [item["id"] for item in (await get(f"{API}/conversations?limit=200")).json()["items"]]
    assert conversation not in shown
    ended = (await get(f"{API}/jobs/{job}")).json()
    assert (ended["state"], ended["error"]["code"]) == ("cancelled", "knowledge_base_deleted")
    assert not await quoting.worker.run_one()


async def test_the_slug_can_be_used_again_at_once_and_knows_nothing_of_the_old_one(
    quoting: Server, new_base: NewBase
) -> None:
    slug = await new_base(quoting)
    await quoting.upload(("moon.md", MOON), slug=slug)
    await quoting.http.delete(f"{BASES}/{slug}")
    answer = await quoting.http.post(BASES, json={"slug": slug, "name": "Again"})
    assert (answer.status_code, answer.json()["documents"]) == (201, 0)
    search = {"query": "What is the moon made of?", "knowledge_base": slug}
    assert (await quoting.http.post(f"{API}/search", json=search)).json()["hits"] == []
    await quoting.upload(("moon.md", "The moon is cheese."), slug=slug)
    (hit,) = (await quoting.http.post(f"{API}/search", json=search)).json()["hits"]
    assert hit["text"] == "The moon is cheese."


async def test_what_was_deleted_is_erased_by_the_worker(server: Server) -> None:
    await server.http.post(BASES, json={"slug": "short", "name": "Short"})
    await server.upload(("a.txt", "Owls hunt."), ("b.txt", "Larks sing."), slug="short")
    await server.http.delete(f"{BASES}/short")
    while await server.worker.erase_one():
        pass
    assert [path for path in server.services.settings.blob_dir.rglob("*") if path.is_file()] == []


async def test_the_chat_page_asks_the_new_default_after_a_restart(serve: Serve) -> None:
    async with serve() as server:
        await server.http.delete(f"{BASES}/default")
        async with client_of(server.url, None) as page:
            answer = await page.post(f"{API}/embeds/home/token", json={})
            check_problem(answer, 404, "embed_not_found")
    async with serve() as server, client_of(server.url, None) as page:
        answer = await page.post(f"{API}/embeds/home/token", json={})
        assert answer.json()["knowledge_base"] == "default"

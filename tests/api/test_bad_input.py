"""What cannot be used is refused as a problem that says so, never with a 500."""

import json
from typing import Any

import pytest

from tests.api.conftest import client_of
from tests.api.support import check_problem, whole
from tests.conftest import Server

CHAT = "/api/v1/chat"
JSON = {"Content-Type": "application/json"}
QUESTION = {"message": "What is the moon made of?"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "message"),
        ({"message": ""}, "message"),
        ({"message": " \n\t "}, "message"),
        ({"message": "x" * 4001}, "message"),
        ({"message": "a\x00b"}, "message"),
        ({"message": None}, "message"),
        ({"message": 5}, "message"),
        ({"message": ["a"]}, "message"),
        ({"message": {"$ne": ""}}, "message"),
        ({**QUESTION, "role": "admin"}, "role"),
        ({**QUESTION, "owner_id": "7d0f9f3e-0000-4000-8000-000000000001"}, "owner_id"),
        ({**QUESTION, "filters": {"$or": []}}, "filters.$or"),
        ({**QUESTION, "stream": "perhaps"}, "stream"),
        ({**QUESTION, "stream": None}, "stream"),
        ({**QUESTION, "conversation_id": "1"}, "conversation_id"),
        ({**QUESTION, "conversation_id": 7}, "conversation_id"),
        ({**QUESTION, "parent_message_id": "' OR 1=1"}, "parent_message_id"),
        ({**QUESTION, "knowledge_base": "../default"}, "knowledge_base"),
        ({**QUESTION, "knowledge_base": "x" * 200}, "knowledge_base"),
        ({**QUESTION, "knowledge_base": "a\x00b"}, "knowledge_base"),
    ],
    ids=lambda case: json.dumps(case)[:60] if isinstance(case, dict) else case,
)
async def test_a_field_that_cannot_be_used_is_named(
    quoting: Server, body: dict[str, Any], field: str
) -> None:
    for stream in (True, False):
        asked = body if "stream" in body else {**body, "stream": stream}
        problem = check_problem(await quoting.http.post(CHAT, json=asked), 422, "invalid_input")
        assert field in {error["field"] for error in problem["errors"]}
        assert field in problem["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"message": "\\ud800"}',
        b'{"message": "a\\udfffb"}',
        b'{"message": "ok", "\\ud800": 1}',
        b'{"message": "ok", "a\\u0000b": 1}',
        b'{"message": "ok", "knowledge_base": "\\ud800"}',
        b'{"message": "unclosed',
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"NaN",
        b"\xff\xfe\x00",
        b'{"message": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"message": ' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"}",
        b'{"message": "ok", "stream": ' + b"9" * 10_000 + b"}",
    ],
    ids=lambda body: repr(body[:40]),
)
async def test_json_that_is_none_or_no_question_is_refused(quoting: Server, body: bytes) -> None:
    answer = await quoting.http.post(CHAT, content=body, headers=JSON)
    problem = check_problem(answer, answer.status_code, answer.json()["code"])
    assert (problem["status"], problem["code"]) in {(422, "invalid_input"), (400, "bad_request")}


async def test_what_is_no_json_is_called_so(quoting: Server) -> None:
    answer = await quoting.http.post(CHAT, content=b'{"message": "unclosed', headers=JSON)
    problem = check_problem(answer, 422, "invalid_input")
    assert problem["detail"] == "body: JSON decode error"


async def test_a_question_of_the_greatest_length_is_answered(quoting: Server) -> None:
    longest = "moon " * 799 + "moon?"
    assert len(longest) == 4000
    assert (await whole(quoting.http, longest))["finish_reason"]


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain"]
)
@pytest.mark.parametrize("path", [CHAT, "/api/v1/search", "/api/v1/knowledge-bases"])
async def test_a_question_of_megabytes_is_too_large_whatever_it_calls_itself(
    quoting: Server, path: str, content_type: str
) -> None:
    body = json.dumps({"message": "x" * 4_000_000}).encode()
    answer = await quoting.http.post(path, content=body, headers={"Content-Type": content_type})
    check_problem(answer, 413, "too_large")


async def test_a_body_that_does_not_tell_its_length_is_counted(quoting: Server) -> None:
    async def blocks() -> Any:
        for _ in range(40):
            yield b" " * 100_000

    check_problem(await quoting.http.post(CHAT, content=blocks(), headers=JSON), 413, "too_large")


async def test_an_unknown_knowledge_base_is_not_found(quoting: Server) -> None:
    for stream in (True, False):
        body = {**QUESTION, "knowledge_base": "nowhere", "stream": stream}
        check_problem(await quoting.http.post(CHAT, json=body), 404, "knowledge_base_not_found")
    body = {"query": "moon", "knowledge_base": "nowhere"}
    check_problem(await quoting.http.post("/api/v1/search", json=body), 404, "knowledge_base_not_found")


UNUSABLE = ["1", "nonsense", "a%00b", "%ED%A0%80", "%F0%9F%99%82", "-1", "9" * 40]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/conversations/{}/messages"),
        ("DELETE", "/conversations/{}"),
        ("GET", "/documents/{}"),
        ("GET", "/documents/{}/chunks"),
        ("DELETE", "/documents/{}"),
        ("GET", "/jobs/{}"),
        ("GET", "/jobs/{}/events"),
        ("POST", "/jobs/{}/cancel"),
        ("POST", "/jobs/{}/retry"),
        ("POST", "/chat/{}/stop"),
    ],
)
async def test_an_id_that_is_none_is_refused(quoting: Server, method: str, path: str) -> None:
    for id in UNUSABLE:
        answer = await quoting.http.request(method, "/api/v1" + path.format(id))
        check_problem(answer, 422, "invalid_input")


@pytest.mark.parametrize(
    ("slug", "status", "code"),
    [
        ("nonsense", 404, "knowledge_base_not_found"),
        ("9" * 40, 404, "knowledge_base_not_found"),
        ("a%00b", 422, "invalid_input"),
        ("%ED%A0%80", 422, "invalid_input"),
        ("-1", 422, "invalid_input"),
        ("x" * 5000, 422, "invalid_input"),
        ("DEFAULT", 422, "invalid_input"),
        ("..%2Fdefault", 404, "route_not_found"),
    ],
    ids=lambda case: str(case)[:30],
)
async def test_a_name_that_no_knowledge_base_has_is_refused(
    quoting: Server, slug: str, status: int, code: str
) -> None:
    path = f"/api/v1/knowledge-bases/{slug}/documents"
    check_problem(await quoting.http.get(path), status, code)
    check_problem(await quoting.http.post(path, files={"files": ("a.txt", b"text")}), status, code)


@pytest.mark.parametrize("id", ["a%00b", "%ED%A0%80", "x" * 200, "a'b"])
async def test_an_embed_id_that_is_none_is_refused_with_a_key_and_without(quoting: Server, id: str) -> None:
    path = f"/api/v1/embeds/{id}"
    check_problem(await quoting.http.delete(path), 422, "invalid_input")
    async with client_of(quoting.url, None) as nobody:
        check_problem(await nobody.post(f"{path}/token", json={}), 422, "invalid_input")


@pytest.mark.parametrize(
    "origin", ["http://[abc", "https://a\x00b.org", "https://a:99999", "https://u@a.org"]
)
async def test_an_origin_that_is_none_is_refused(quoting: Server, origin: str) -> None:
    body = {"name": "Site", "origins": [origin]}
    check_problem(await quoting.http.post("/api/v1/embeds", json=body), 422, "invalid_input")


@pytest.mark.parametrize("query", ["limit=0", "limit=1000", "limit=-1", "limit=x", "limit=", "limit=1e9"])
async def test_a_page_holds_between_one_and_two_hundred(quoting: Server, query: str) -> None:
    for path in ("/conversations", "/jobs", "/knowledge-bases/default/documents"):
        check_problem(await quoting.http.get(f"/api/v1{path}?{query}"), 422, "invalid_input")


@pytest.mark.parametrize("cursor", [*UNUSABLE, "' OR 1=1"])
async def test_a_cursor_that_is_none_is_refused(quoting: Server, cursor: str) -> None:
    for path in ("/conversations", "/jobs", "/knowledge-bases/default/documents"):
        check_problem(await quoting.http.get(f"/api/v1{path}?cursor={cursor}"), 422, "invalid_input")


@pytest.mark.parametrize("cursor", ["x", "9" * 40, "-9" + "9" * 40, "1.5", "a%00b", str(2**31), str(2**63)])
async def test_a_cursor_of_chunks_that_is_none_is_refused(quoting: Server, cursor: str) -> None:
    listed = (await quoting.http.get("/api/v1/knowledge-bases/default/documents")).json()["items"]
    answer = await quoting.http.get(f"/api/v1/documents/{listed[0]['id']}/chunks?cursor={cursor}")
    check_problem(answer, 422, "invalid_input")


@pytest.mark.parametrize("value", ["a%00b", "%ED%A0%80", "nonsense"])
async def test_a_filter_of_jobs_that_cannot_be_used_is_refused(quoting: Server, value: str) -> None:
    check_problem(await quoting.http.get(f"/api/v1/jobs?state={value}"), 422, "invalid_input")


async def test_jobs_of_a_knowledge_base_that_does_not_exist_are_not_found(quoting: Server) -> None:
    answer = await quoting.http.get("/api/v1/jobs?knowledge_base=nowhere")
    check_problem(answer, 404, "knowledge_base_not_found")
    check_problem(await quoting.http.get("/api/v1/jobs?knowledge_base=a%00b"), 422, "invalid_input")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": ""},
        {"query": "x" * 4001},
        {"query": "a\x00b"},
        {"query": "moon", "limit": 0},
        {"query": "moon", "limit": 51},
        {"query": "moon", "limit": -1},
        {"query": "moon", "limit": 10**9},
        {"query": "moon", "limit": 10**30},
        {"query": "moon", "knowledge_base": None},
        {"query": "moon", "owner_id": "x"},
    ],
    ids=lambda body: json.dumps(body)[:60],
)
async def test_a_search_that_cannot_be_used_is_refused(quoting: Server, body: dict[str, Any]) -> None:
    check_problem(await quoting.http.post("/api/v1/search", json=body), 422, "invalid_input")


async def test_whatever_is_searched_for_is_only_words(quoting: Server) -> None:
    for query in (
        "moon",
        "of the and what is",
        "луна 月 moon চাঁদ",
        'chunk:"moon" AND (terms:[* TO *] OR -kind:chunk)~2^3 \\',
        "?!",
        "moon " * 800,
        " ".join(f"word{number}" for number in range(400)),
    ):
        for filters in (None, {"tags": ["none has it"]}):
            answer = await quoting.http.post("/api/v1/search", json={"query": query, "filters": filters})
            assert answer.status_code == 200, (query[:40], answer.text)
            found = {hit["filename"] for hit in answer.json()["hits"]}
            assert ("moon" not in query or "moon.md" in found) if filters is None else not found


async def test_a_route_that_does_not_exist_and_a_wrong_method_are_problems(quoting: Server) -> None:
    check_problem(await quoting.http.get("/api/v1/nothing"), 404, "route_not_found")
    answer = await quoting.http.put("/api/v1/conversations")
    check_problem(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]


async def test_a_request_id_is_the_callers_where_it_is_sane(quoting: Server) -> None:
    given = {"X-Request-ID": "trace-12345678"}
    answer = await quoting.http.get("/api/v1/nothing", headers=given)
    assert check_problem(answer, 404, "route_not_found")["request_id"] == "trace-12345678"
    given = {"X-Request-ID": "<script>alert(1)</script>"}
    answer = await quoting.http.get("/api/v1/nothing", headers=given)
    assert "script" not in check_problem(answer, 404, "route_not_found")["request_id"]

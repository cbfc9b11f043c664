"""Every route of the app, asked by every kind of caller: `pytest -s tests/api/test_matrix.py` prints the table."""

import asyncio
import re
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
from fastapi.routing import iter_route_contexts

from rag_service.app import create_app
from rag_service.db.models import KeyRole
from rag_service.db.repositories.keys import Keys
from tests.api.conftest import NewBase, client_of
from tests.api.matrix import BASE, BODIES, MATRIX, OWNED, RANK, Line
from tests.conftest import Server

SEEN = {"401": "-", "403": "no", "404": "404", "open": "open", "yes": "yes"}
ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class Caller:
    """A column: what it is called, the role it has (None: no credential that counts), and its client."""

    name: str
    role: str | None
    http: httpx.AsyncClient


def test_every_route_of_the_app_is_in_the_matrix_and_says_what_the_audit_log_calls_it(
    quoting: Server,
) -> None:
    routes = set()
    for route in iter_route_contexts(create_app(quoting.services.settings).routes):
        routes |= {(method, route.path) for method in (route.methods or {"MOUNT"}) - {"HEAD"}}
    assert {(line.method, line.path) for line in MATRIX} == routes
    for line in MATRIX:
        changes = line.least == "admin" and line.method not in ("GET", "MOUNT")
        assert (line.action is not None) == changes, line


async def test_every_caller_gets_what_the_matrix_says_on_every_route(
    quoting: Server, new_base: NewBase
) -> None:
    base, other = await new_base(quoting), await new_base(quoting)
    there = await _objects(quoting, base)
    async with AsyncExitStack() as stack:
        callers = await _callers(quoting, base, other, stack)
        columns = await asyncio.gather(*(_column(caller, there, base) for caller in callers))
    sys.stdout.write(_table(callers, columns))
    for caller, column in zip(callers, columns, strict=True):
        for line, seen in zip(MATRIX, column, strict=True):
            assert seen == _expected(caller, line), (caller.name, line.method, line.path)


def _table(callers: list[Caller], columns: list[list[str]]) -> str:
    lines = ["", " " * 66 + " ".join(f"{caller.name.split()[0]:9}" for caller in callers)]
    for number, line in enumerate(MATRIX):
        cells = " ".join(f"{SEEN[column[number]]:9}" for column in columns)
        lines.append(f"{line.method:6} {line.path.removeprefix('/api/v1'):58} {cells}")
    return "\n".join([*lines, "* a key for another knowledge base", ""])


def _expected(caller: Caller, line: Line) -> str:
    if line.least == "anyone":
        return "open"
    if caller.role is None:
        return "401"
    if RANK[caller.role] < RANK[line.least]:
        return "403"
    is_foreign = ELSEWHERE in caller.name and ("{" in line.path or line.path in BODIES)
    return "404" if is_foreign or any(name in line.path for name in OWNED) else "yes"


async def _column(caller: Caller, there: dict[str, str], base: str) -> list[str]:
    return [await _ask(caller, line, there, base) for line in MATRIX]


async def _ask(caller: Caller, line: Line, there: dict[str, str], base: str) -> str:
    if line.method == "MOUNT":
        return "open"
    # What an admin would break is asked for in vain; everybody else is shown the real thing, and must not see it.
    in_vain = caller.role == "admin" and line.method != "GET"
    nowhere = {name: str(uuid4()) for name in there} | {"number": "1"}
    answer = await _request(caller, line, nowhere if in_vain else there, base)
    if ELSEWHERE in caller.name and answer.status_code == 404:
        missing = await _request(caller, line, nowhere, nowhere["slug"])
        assert _said(answer) == _said(missing), line.path
    assert answer.status_code < 500, (line.path, answer.text)
    if line.least == "anyone":
        return "401" if answer.status_code in (401, 403) else "open"
    if answer.status_code in (401, 403):
        return str(answer.status_code)
    is_missing = answer.status_code == 404 and not in_vain
    return "404" if is_missing or any(name in line.path for name in OWNED) else "yes"


async def _request(caller: Caller, line: Line, names: dict[str, str], base: str) -> httpx.Response:
    path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda match: names.get(match[1]) or str(uuid4()), line.path)
    may = caller.role is not None and line.least != "anyone" and RANK[caller.role] >= RANK[line.least]
    if line.path in BODIES and may:
        body = {name: base if value == BASE else value for name, value in BODIES[line.path].items()}
        return await caller.http.request(line.method, path, json=body)
    if line.method == "GET":
        return await caller.http.get(path)
    # Whoever may not is told so, whatever is wrong with the body: it is not read.
    headers = {"Content-Type": "application/json"}
    return await caller.http.request(line.method, path, content=b"{", headers=headers)


def _said(answer: httpx.Response) -> tuple[int, str]:
    """A problem without what names the request and what was asked for."""
    names = rf"'[\w-]+'|{answer.headers['x-request-id']}"
    return answer.status_code, re.sub(names, "", answer.text)


async def _objects(server: Server, base: str) -> dict[str, str]:
    """Something real for each parameter of a path."""
    uploaded = await server.upload(("moon.md", "# Moon\n\nThe moon is made of basalt."), slug=base)
    page = {"url": "https://example.org/", "kind": "page"}
    url = await server.http.post(f"/api/v1/knowledge-bases/{base}/urls", json=page)
    embed = await server.http.post("/api/v1/embeds", json={"name": "x", "knowledge_base": base})
    key, _ = await server.services.keys.create("target", "chat")
    return {
        "slug": base,
        "model": base,
        "document_id": uploaded["documents"][0]["id"],
        "job_id": uploaded["jobs"][0]["id"],
        "number": "1",
        "url_id": url.json()["id"],
        "embed_id": embed.json()["id"],
        "key_id": str(key.id),
    }


async def _callers(server: Server, base: str, other: str, stack: AsyncExitStack) -> list[Caller]:
    async def caller(name: str, role: str | None, credential: str | None) -> Caller:
        return Caller(name, role, await stack.enter_async_context(client_of(server.url, credential)))

    async def key(role: KeyRole, *bases: str) -> str:
        return (await server.services.keys.create("a column", role, knowledge_bases=bases))[1]

    revoked, expired = await key("admin"), await key("admin")
    await server.services.keys.revoke(revoked[:-44])
    async with server.services.database.transaction() as session:
        found = await Keys(session).locked(expired[:-44])
        found.expires_at = datetime.now(UTC) - timedelta(seconds=1)
    embed = await server.http.post(
        "/api/v1/embeds", json={"name": "x", "knowledge_base": base, "origins": ["https://a.example"]}
    )
    token = await server.services.embeds.token(
        embed.json()["id"], origin="https://a.example", own_origin=server.url
    )
    return [
        await caller("none", None, None),
        await caller("revoked", None, revoked),
        await caller("expired", None, expired),
        await caller("visitor", "visitor", token.token),
        await caller("chat", "chat", await key("chat")),
        await caller(f"{ELSEWHERE}: chat", "chat", await key("chat", other)),
        await caller("evaluator", "evaluator", await key("evaluator")),
        await caller(f"evaluat* {ELSEWHERE}", "evaluator", await key("evaluator", other)),
        await caller("admin", "admin", await key("admin")),
    ]

"""The audit log: each change that an admin can make is in it, once, with who made it; what failed is not."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text, update

from ingest.housekeeping import forget_acts
from rag_service.db.models import AuditEntry
from tests.api.conftest import NewBase, client_of
from tests.api.matrix import MATRIX
from tests.conftest import Server


async def entries(http: httpx.AsyncClient, **wanted: Any) -> list[dict[str, Any]]:
    answer = await http.get("/api/v1/audit", params=wanted)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_every_change_an_admin_can_make_is_written_down(quoting: Server) -> None:
    key, secret = await quoting.services.keys.create("the auditor's", "admin")
    async with client_of(quoting.url, secret) as admin:
        secrets = await _make_every_change(quoting, admin)
        log = await entries(admin, actor=key.prefix, limit=200)
    assert {entry["action"] for entry in log} >= {line.action for line in MATRIX if line.action}
    for entry in log:
        assert entry["actor"] == f"key:{key.id}" and entry["key_name"] == "the auditor's"
        assert entry["ip"] == "127.0.0.1" and len(entry["request_id"]) >= 8 and entry["target_id"]
        if not entry["action"].startswith(("key.", "person.")):
            assert entry["knowledge_base"] == "audited", entry
    kept = json.dumps(log)
    for hidden in (secret, *secrets, "moon.md", "basalt", "private-path", "anna"):
        assert hidden not in kept
    async with quoting.services.database.transaction() as session:
        everything = str((await session.execute(text("SELECT k::text FROM idempotency_keys k"))).all())
    assert not [one for one in (secret, *secrets) if one in everything]


async def _make_every_change(server: Server, admin: httpx.AsyncClient) -> list[str]:
    """One of each action of the matrix. Returns the secrets that were shown."""

    async def act(method: str, path: str, **request: Any) -> Any:
        answer = await admin.request(method, f"/api/v1{path}", **request)
        assert answer.status_code < 300, (method, path, answer.text)
        return answer.json() if answer.content else None

    await act("POST", "/knowledge-bases", json={"slug": "audited", "name": "Audited"})
    await act("PATCH", "/knowledge-bases/audited", json={"name": "Renamed"})
    files = {"files": ("moon.md", b"The moon is made of basalt.")}
    waiting = await act("POST", "/knowledge-bases/audited/documents", files=files)
    job, document = f"/jobs/{waiting['jobs'][0]['id']}", f"/documents/{waiting['documents'][0]['id']}"
    await act("POST", f"{job}/cancel")
    await act("POST", f"{job}/retry")
    while await server.worker.run_one():
        pass
    await act("PATCH", document, json={"tags": ["geology"]})
    await act("POST", f"{document}/reindex")
    while await server.worker.run_one():
        pass
    await act("POST", f"{document}/versions/1/restore")
    await act("DELETE", document)
    page = {"url": "https://example.org/private-path", "kind": "page"}
    url = await act("POST", "/knowledge-bases/audited/urls", json=page)
    await act("DELETE", f"/urls/{url['id']}")
    embed = await act("POST", "/embeds", json={"name": "x", "knowledge_base": "audited"})
    await act("PATCH", f"/embeds/{embed['id']}", json={"require_identity": True})
    identity = await act("POST", f"/embeds/{embed['id']}/identity-secret", json={})
    await act("DELETE", f"/embeds/{embed['id']}")
    made = await act("POST", "/keys", json={"name": "x", "role": "chat"})
    await act("PATCH", f"/keys/{made['id']}", json={"name": "y"})
    rotated = await act("POST", f"/keys/{made['id']}/rotate", json={})
    await act("DELETE", f"/keys/{made['id']}")
    await act("DELETE", "/people/visitor:anna")
    await act("DELETE", "/knowledge-bases/audited")
    return [identity["secret"], made["key"], rotated["key"]]


async def test_what_fails_or_is_only_repeated_is_not_in_the_log(quoting: Server, new_base: NewBase) -> None:
    base = await new_base(quoting)
    path = f"/api/v1/knowledge-bases/{base}"
    assert (await quoting.http.post("/api/v1/knowledge-bases", json={"slug": base, "name": "x"})).is_error
    assert (await quoting.http.patch(path, json={"prompt": "no-such-prompt"})).is_error
    upload = {"files": ("a.txt", b"text")}
    again = {"Idempotency-Key": f"once-{base}"}
    for _ in range(2):
        answer = await quoting.http.post(f"{path}/documents", files=upload, headers=again)
        assert answer.status_code == 202
    answer = await quoting.http.post(f"{path}/documents?on_conflict=reject", files=upload)
    assert answer.status_code == 409
    log = await entries(quoting.http, knowledge_base=base)
    assert [entry["action"] for entry in log] == ["document.uploaded", "knowledge_base.created"]


async def test_the_log_is_filtered_read_page_by_page_and_removed_by_nobody(
    quoting: Server, new_base: NewBase
) -> None:
    base = await new_base(quoting)
    for name in ("a", "b", "c"):
        await quoting.http.patch(f"/api/v1/knowledge-bases/{base}", json={"name": name})
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await quoting.http.get(
            "/api/v1/audit", params={"knowledge_base": base, "limit": 2, **cursor}
        )
        seen += [entry["action"] for entry in answer.json()["items"]]
        if answer.json()["next_cursor"] is None:
            break
        cursor = {"cursor": answer.json()["next_cursor"]}
    assert seen == ["knowledge_base.changed"] * 3 + ["knowledge_base.created"]
    wanted = {"knowledge_base": base, "action": "knowledge_base.created"}
    (made,) = await entries(quoting.http, **wanted)
    assert await entries(quoting.http, **wanted, before=made["at"]) == []
    assert await entries(quoting.http, **wanted, after=made["at"]) == []
    assert await entries(quoting.http, **wanted, actor="key:another") == []
    for path in ("/api/v1/audit", f"/api/v1/audit/{made['id']}"):
        assert (await quoting.http.delete(path)).status_code in (404, 405)


@pytest.mark.parametrize(
    "query", [{"cursor": "x"}, {"knowledge_base": "' OR 1=1"}, {"after": "2026-01-01"}, {"actor": "a\x00"}]
)
async def test_a_filter_that_is_none_is_refused(quoting: Server, query: dict[str, str]) -> None:
    assert (await quoting.http.get("/api/v1/audit", params=query)).status_code == 422


async def test_entries_go_with_their_age_alone(quoting: Server, new_base: NewBase) -> None:
    base = await new_base(quoting)
    await quoting.http.patch(f"/api/v1/knowledge-bases/{base}", json={"name": "later"})
    database = quoting.services.database
    async with database.transaction() as session:
        await session.execute(
            update(AuditEntry)
            .where(AuditEntry.knowledge_base == base, AuditEntry.action == "knowledge_base.created")
            .values(at=datetime.now(UTC) - timedelta(days=31))
        )
    await forget_acts(database, days=30)
    assert [one["action"] for one in await entries(quoting.http, knowledge_base=base)] == [
        "knowledge_base.changed"
    ]

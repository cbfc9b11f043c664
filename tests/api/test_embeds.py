"""Embeds: a public id and an allowed origin yield a visitor's token, and nothing more."""

from typing import Any

import httpx
import jwt
import pytest

from tests.conftest import SECRET, Serve, Server

ORIGIN = "https://www.example.org"


async def _embed(server: Server, *origins: str) -> dict[str, Any]:
    answer = await server.http.post(
        "/api/v1/embeds", json={"name": "Site", "origins": list(origins or (ORIGIN,))}
    )
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def _token(http: httpx.AsyncClient, embed: str, origin: str | None, **body: str) -> httpx.Response:
    headers = {"Origin": origin} if origin else {}
    return await http.post(f"/api/v1/embeds/{embed}/token", json=body, headers=headers)


@pytest.fixture
async def page(server: Server) -> Any:
    """A browser's page: no key."""
    async with httpx.AsyncClient(base_url=server.url, timeout=20) as http:
        yield http


async def test_a_page_of_an_allowed_origin_gets_a_token_that_asks_and_owns_its_conversation(
    server: Server, page: httpx.AsyncClient
) -> None:
    await server.upload(("moon.md", "The moon is made of basalt."))
    embed = await _embed(server)
    assert f'data-embed="{embed["id"]}"' in embed["snippet"]
    given = await _token(page, embed["id"], ORIGIN)
    assert given.status_code == 200
    assert given.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in given.headers
    mine = {"Authorization": f"Bearer {given.json()['token']}", "Origin": ORIGIN}
    turn = await page.post(
        "/api/v1/chat", json={"message": "What is the moon made of?", "stream": False}, headers=mine
    )
    assert turn.status_code == 200, turn.text
    path = f"/api/v1/conversations/{turn.json()['conversation_id']}/messages"
    assert len((await page.get(path, headers=mine)).json()["items"]) == 2

    other = (await _token(page, embed["id"], ORIGIN)).json()["token"]
    theirs = {"Authorization": f"Bearer {other}", "Origin": ORIGIN}
    assert (await page.get(path, headers=theirs)).status_code == 404
    same = (await _token(page, embed["id"], ORIGIN, token=given.json()["token"])).json()["token"]
    assert (await page.get(path, headers={**mine, "Authorization": f"Bearer {same}"})).status_code == 200


@pytest.mark.parametrize(
    "origin", [None, "null", "https://evil.example", "https://www.example.org.evil.example"]
)
async def test_a_page_of_another_origin_is_refused_and_granted_nothing(
    server: Server, page: httpx.AsyncClient, origin: str | None
) -> None:
    embed = await _embed(server)
    refused = await _token(page, embed["id"], origin)
    assert (refused.status_code, refused.json()["code"]) == (403, "origin_not_allowed")
    assert "access-control-allow-origin" not in refused.headers


async def test_a_visitor_may_ask_and_nothing_else(server: Server, page: httpx.AsyncClient) -> None:
    embed = await _embed(server)
    token = (await _token(page, embed["id"], ORIGIN)).json()["token"]
    mine = {"Authorization": f"Bearer {token}", "Origin": ORIGIN}
    for path in ("knowledge-bases", "jobs", "embeds", "knowledge-bases/default/documents"):
        assert (await page.get(f"/api/v1/{path}", headers=mine)).status_code == 403, path
    await server.http.post("/api/v1/knowledge-bases", json={"slug": "secret", "name": "Secret"})
    asked = await page.post("/api/v1/chat", json={"message": "x", "knowledge_base": "secret"}, headers=mine)
    assert (asked.status_code, asked.json()["code"]) == (404, "knowledge_base_not_found")
    elsewhere = {**mine, "Origin": "https://evil.example"}
    assert (await page.post("/api/v1/chat", json={"message": "x"}, headers=elsewhere)).status_code == 401


async def test_a_revoked_embed_ends_its_visitors(server: Server, page: httpx.AsyncClient) -> None:
    embed = await _embed(server)
    token = (await _token(page, embed["id"], ORIGIN)).json()["token"]
    assert (await server.http.delete(f"/api/v1/embeds/{embed['id']}")).status_code == 204
    assert (await _token(page, embed["id"], ORIGIN)).status_code == 404
    answer = await page.get("/api/v1/conversations", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert (await server.http.get("/api/v1/embeds")).json()["items"][-1]["id"] == "home"


@pytest.mark.parametrize(
    ("key", "algorithm", "claims"),
    [
        ("", "none", {"aud": "visitor", "exp": 4102444800}),
        ("another-secret-of-thirty-two-characters", "HS256", {"aud": "visitor", "exp": 4102444800}),
        (f"visitor-token:{SECRET}", "HS256", {"aud": "visitor", "exp": 1}),
        (f"visitor-token:{SECRET}", "HS256", {"aud": "admin", "exp": 4102444800}),
        (f"visitor-token:{SECRET}", "HS256", {"aud": "visitor"}),
    ],
    ids=["alg none", "another secret", "ended", "another audience", "no end"],
)
async def test_a_forged_or_ended_token_is_refused(
    page: httpx.AsyncClient, key: str, algorithm: str, claims: dict[str, Any]
) -> None:
    token = jwt.encode({"sub": "x", "embed": "home", **claims}, key, algorithm=algorithm)
    answer = await page.get("/api/v1/conversations", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


async def test_preflights_are_granted_to_allowed_origins_on_visitors_routes_alone(
    server: Server, page: httpx.AsyncClient
) -> None:
    await _embed(server)
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}

    async def granted(path: str, origin: str) -> bool:
        answer = await page.options(path, headers={**ask, "Origin": origin})
        return "access-control-allow-origin" in answer.headers

    assert await granted("/api/v1/chat", ORIGIN)
    assert await granted("/api/v1/messages/6f9619ff-8b86-d011-b42d-00c04fc964ff/feedback", ORIGIN)
    assert not await granted("/api/v1/chat", "https://evil.example")
    assert not await granted("/api/v1/knowledge-bases", ORIGIN)


async def test_the_home_page_asks_on_its_own_origin_and_can_be_switched_off(serve: Serve) -> None:
    async with serve() as server, httpx.AsyncClient(base_url=server.url) as page:
        assert (await _token(page, "home", server.url)).status_code == 200
        assert (await _token(page, "home", "https://evil.example")).status_code == 403
    async with serve(home_chat=False) as server, httpx.AsyncClient(base_url=server.url) as page:
        assert (await _token(page, "home", server.url)).status_code == 404


@pytest.mark.parametrize(
    "origin", ["example.org", "ftp://example.org", "https://example.org/page", "https://u@x.org"]
)
async def test_what_is_no_origin_is_refused_with_what_one_looks_like(server: Server, origin: str) -> None:
    answer = await server.http.post("/api/v1/embeds", json={"name": "x", "origins": [origin]})
    assert answer.status_code == 422
    assert "https://www.example.org" in answer.json()["detail"]


async def test_the_origins_of_an_embed_can_be_changed(server: Server, page: httpx.AsyncClient) -> None:
    embed = await _embed(server)
    path, moved = f"/api/v1/embeds/{embed['id']}", "https://new.example"
    changed = await server.http.patch(path, json={"origins": [f"{moved}:443/"]})
    assert (changed.status_code, changed.json()["origins"]) == (200, [moved])
    assert (await _token(page, embed["id"], ORIGIN)).status_code == 403
    assert (await _token(page, embed["id"], moved)).status_code == 200
    assert (await server.http.patch(path, json={"origins": []})).json()["origins"] == []
    assert (await _token(page, embed["id"], moved)).status_code == 403
    for wrong in ({"origins": None}, {"origins": ["x.example/page"]}, {"knowledge_base": "default"}):
        assert (await server.http.patch(path, json=wrong)).status_code == 422
    assert (await server.http.patch("/api/v1/embeds/emb_none", json={"name": "x"})).status_code == 404


async def test_a_foreign_host_header_is_refused(page: httpx.AsyncClient) -> None:
    assert (await page.get("/health/live", headers={"Host": "rebound.example"})).status_code == 400


async def test_the_api_reference_fetches_nothing_from_elsewhere(page: httpx.AsyncClient) -> None:
    text = (await page.get("/docs")).text
    assert "/static-offline-docs/swagger-ui-bundle.js" in text
    assert "cdn" not in text.lower()

"""Users of a site that embeds the chat: its backend signs who they are, and nobody else can."""

import time
from typing import Any

import httpx
import jwt
import pytest

from tests.api.conftest import client_of
from tests.api.support import check_problem, stored, whole
from tests.conftest import SECRET, Server

ORIGIN = "https://shop.example"
ANOTHER_KEY = "another-secret-of-thirty-two-characters"


async def embed_of(server: Server, **body: Any) -> tuple[str, str]:
    """A new embed's id and identity secret."""
    request = {"name": "Shop", "origins": [ORIGIN], **body}
    made = (await server.http.post("/api/v1/embeds", json=request)).json()
    assert made["has_identity_secret"] is False
    return made["id"], await secret_of(server, made["id"])


async def secret_of(server: Server, embed: str, **body: Any) -> str:
    answer = await server.http.post(f"/api/v1/embeds/{embed}/identity-secret", json=body)
    assert answer.status_code == 201 and answer.headers["cache-control"] == "no-store"
    return str(answer.json()["secret"])


def signed(secret: str, embed: str, algorithm: str = "HS256", **claims: Any) -> str:
    """What a site's backend hands to its page; a claim of None is left out."""
    told = {"aud": embed, "sub": "anna@shop.example", "exp": int(time.time()) + 600, **claims}
    kept = {name: value for name, value in told.items() if value is not None}
    return jwt.encode(kept, secret, algorithm=algorithm)


async def token_of(server: Server, embed: str, **body: str) -> httpx.Response:
    async with client_of(server.url, None) as page:
        return await page.post(f"/api/v1/embeds/{embed}/token", json=body, headers={"Origin": ORIGIN})


async def test_a_user_of_the_site_has_their_conversations_on_every_device_and_nobody_else_has(
    quoting: Server,
) -> None:
    embed, secret = await embed_of(quoting)
    tokens = [
        (await token_of(quoting, embed, identity=signed(secret, embed))).json()["token"] for _ in range(2)
    ]
    strangers = [
        await token_of(quoting, embed),
        await token_of(quoting, embed, token=tokens[0]),  # without the backend's word it is nobody's token
        await token_of(quoting, embed, identity=signed(secret, embed, sub="bob")),
    ]
    other, others_secret = await embed_of(quoting)
    strangers.append(await token_of(quoting, other, identity=signed(others_secret, other)))
    async with client_of(quoting.url, tokens[0]) as phone, client_of(quoting.url, tokens[1]) as desk:
        turn = await whole(phone, "What is the moon made of?")
        assert await stored(desk, turn)
    for stranger in strangers:
        assert stranger.status_code == 200, stranger.text
        async with client_of(quoting.url, stranger.json()["token"]) as caller:
            theirs = await caller.get(f"/api/v1/conversations/{turn['conversation_id']}/messages")
            check_problem(theirs, 404, "conversation_not_found")


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize(
    "claims",
    [
        {"key": "", "algorithm": "none"},
        {"algorithm": "HS512"},
        {"key": ANOTHER_KEY},
        {"key": f"visitor-token:{SECRET}"},
        {"aud": "emb_another"},
        {"aud": "visitor"},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"exp": 4102444800},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 65},
        {"sub": "anna\x00"},
        {"nbf": 4102444800},
    ],
    ids=lambda claims: " ".join(f"{name} {value!r:.20}" for name, value in claims.items()),
)
async def test_an_identity_that_is_not_the_backends_word_is_refused(
    quoting: Server, claims: dict[str, Any]
) -> None:
    embed, secret = await embed_of(quoting)
    identity = signed(claims.pop("key", secret), embed, **claims)
    check_problem(await token_of(quoting, embed, identity=identity), 401, "identity_not_valid")


async def test_tokens_pass_for_nothing_else_than_they_are(quoting: Server) -> None:
    embed, secret = await embed_of(quoting)
    other, others_secret = await embed_of(quoting)
    identity = signed(secret, embed)
    visitor = (await token_of(quoting, embed, identity=identity)).json()["token"]
    forged = signed(others_secret, embed)
    for wrong in (visitor, forged, signed(secret, other), secret, "x"):
        check_problem(await token_of(quoting, embed, identity=wrong), 401, "identity_not_valid")
    check_problem(await token_of(quoting, other, identity=identity), 401, "identity_not_valid")
    for wrong in (identity, secret, f"{visitor}x", visitor.replace(".", "")):
        async with client_of(quoting.url, wrong) as caller:
            check_problem(await caller.get("/api/v1/conversations"), 401, "unauthenticated")
    # An identity in the place of an older visitor token says nothing, and breaks nothing.
    stranger = await token_of(quoting, embed, token=identity)
    claims = jwt.decode(stranger.json()["token"], options={"verify_signature": False})
    assert "user" not in claims and claims["sub"] != "anna@shop.example"


async def test_an_embed_may_be_for_signed_in_users_alone(quoting: Server) -> None:
    embed, secret = await embed_of(quoting)
    anonymous = (await token_of(quoting, embed)).json()["token"]
    changed = await quoting.http.patch(f"/api/v1/embeds/{embed}", json={"require_identity": True})
    assert changed.json()["require_identity"] is True and changed.json()["has_identity_secret"] is True
    check_problem(await token_of(quoting, embed), 401, "identity_required")
    check_problem(await token_of(quoting, embed, token=anonymous), 401, "identity_required")
    async with client_of(quoting.url, anonymous) as caller:
        check_problem(await caller.get("/api/v1/conversations"), 401, "identity_required")
    assert (await token_of(quoting, embed, identity=signed(secret, embed))).status_code == 200


async def test_a_new_identity_secret_leaves_the_old_one_its_overlap(quoting: Server) -> None:
    embed, first = await embed_of(quoting)
    second = await secret_of(quoting, embed)
    for secret in (first, second):
        assert (await token_of(quoting, embed, identity=signed(secret, embed))).status_code == 200
    third = await secret_of(quoting, embed, overlap_hours=0)
    for secret in (first, second):
        refused = await token_of(quoting, embed, identity=signed(secret, embed))
        check_problem(refused, 401, "identity_not_valid")
    assert (await token_of(quoting, embed, identity=signed(third, embed))).status_code == 200
    listed = (await quoting.http.get("/api/v1/embeds")).text
    assert not [secret for secret in (first, second, third) if secret in listed]

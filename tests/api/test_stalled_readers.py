"""A reader who stops reading: cut off, while the process holds no more for it and the turn goes its own way."""

import asyncio
import json
import socket
from urllib.parse import urlsplit

import httpx

from rag_service.testing.model_server import ModelServer, Reply
from tests.api.conftest import Guest
from tests.api.support import messages, until
from tests.api.test_runs import sql
from tests.conftest import Server

TEXT = "The moon is basalt [1]." + "".join(f"{' ' * 4_000}word{number}" for number in range(200))
VAST = Reply(TEXT, token_delay=0.01)
"""800 KB: more than is held for a reader who does not read."""


def ask_and_read_nothing(caller: httpx.AsyncClient) -> socket.socket:
    """A question on a socket that takes little and is never read."""
    address = urlsplit(str(caller.base_url))
    data = json.dumps({"message": "What is the moon made of?"}).encode()
    lines = [
        "POST /api/v1/chat HTTP/1.1",
        f"Host: {address.netloc}",
        f"Authorization: {caller.headers['authorization']}",
        "Content-Type: application/json",
        f"Content-Length: {len(data)}",
    ]
    wire = socket.socket()
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    wire.connect((address.hostname, address.port))
    wire.sendall("\r\n".join([*lines, "", ""]).encode() + data)
    return wire


async def test_one_who_stops_reading_is_cut_off_and_the_turn_is_given_up_after_its_grace(
    pair: tuple[Server, Server], model_server: ModelServer, guest: Guest
) -> None:
    caller = await guest(pair[0])
    model_server.reply(VAST)
    with ask_and_read_nothing(caller) as wire:
        await check_given_up(pair[0], caller, model_server)
        wire.settimeout(5)
        received = await asyncio.to_thread(lambda: b"".join(iter(lambda: wire.recv(1 << 20), b"")))
    assert b"event: delta" in received
    assert b"event: done" not in received
    assert len(received) < len(TEXT) / 2  # what was held for it, here and in the system


async def check_given_up(server: Server, caller: httpx.AsyncClient, model_server: ModelServer) -> None:
    async def has_begun() -> bool:
        return bool((await caller.get("/api/v1/conversations")).json()["items"])

    await until(has_begun)
    (conversation,) = (await caller.get("/api/v1/conversations")).json()["items"]

    id = (await messages(caller, conversation["id"]))[-1]["id"]

    async def has_ended() -> bool:
        return bool(await sql(server, "SELECT state FROM messages WHERE id = :id", id=id) != "streaming")

    await until(has_ended, 20)
    kept = (await messages(caller, conversation["id"]))[-1]
    assert kept["state"] == "stopped"
    assert kept["content"]
    assert TEXT.startswith(kept["content"])
    await model_server.wait_for(lambda: model_server.open_streams == 0, 2)

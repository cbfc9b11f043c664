"""What comes over the wire in whatever cuts is the same answer."""

import asyncio
import json

import pytest
from langchain_core.messages import HumanMessage
from openai import APIError

from rag_service.chat import pieces
from rag_service.chat.pieces import Piece
from rag_service.chat.providers import connect
from rag_service.settings import Settings


def chunk(text: str, **more: object) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": {"content": text}, **more}]}, ensure_ascii=False)


WORDS = ["বাংলা ", "naïve ", "data: [DONE] ", "\n", "東京"]
ENDING = json.dumps({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}})
LINES = [
    ": a comment, as some servers send while they think",
    "event: message",
    *(f"data: {chunk(word)}" for word in WORDS),
    f"data:{chunk('', finish_reason='stop')}",
    f"data: {ENDING}",
    "data: [DONE]",
    f"data: {chunk('what comes behind the end')}",
]


async def hear(body: bytes, cut: int, said: list[Piece]) -> None:
    """Adds the pieces of a response that comes in reads of `cut` bytes. Raises what it ends in."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        for at in range(0, len(body), cut):
            writer.write(body[at : at + cut])
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = Settings(_env_file=None, openai_base_url=f"http://127.0.0.1:{port}/v1")
        model = connect("openai:m", "RAG_CHAT_MODEL", settings)
        try:
            async for piece in pieces.pieces(model, [HumanMessage("?")]):
                said.append(piece)
        finally:
            await pieces.close(model)


@pytest.mark.parametrize("cut", [3, 64, 100_000])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
async def test_an_answer_is_the_same_in_whatever_reads_and_line_ends(cut: int, ending: str) -> None:
    said: list[Piece] = []
    await hear((ending * 2).join([*LINES, ""]).encode(), cut, said)
    assert "".join(piece.text for piece in said) == "".join(WORDS)
    assert [piece.finish_reason for piece in said if piece.finish_reason] == ["stop"]
    assert [piece.usage for piece in said if piece.usage] == [(7, 5)]


async def test_what_was_said_before_half_a_chunk_is_heard() -> None:
    said: list[Piece] = []
    with pytest.raises(json.JSONDecodeError):
        await hear(f"data: {chunk('Basalt')}\n\ndata: {chunk('and')[:20]}".encode(), 100_000, said)
    assert [piece.text for piece in said] == ["Basalt"]


async def test_an_error_in_a_stream_is_told_without_its_text() -> None:
    said: list[Piece] = []
    error = json.dumps({"error": {"message": "sk-secret", "code": "rate_limit_exceeded"}})
    with pytest.raises(APIError) as raised:
        await hear(f"data: {chunk('Basalt')}\n\ndata: {error}\n\n".encode(), 100_000, said)
    assert "sk-secret" not in str(raised.value)
    assert [piece.text for piece in said] == ["Basalt"]

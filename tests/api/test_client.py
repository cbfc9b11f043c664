"""`rag ask` and `rag chat`, whose connection is lost."""

import pytest

from rag_service import following
from rag_service.client import Client
from rag_service.errors import RagError
from rag_service.following import Unreachable
from rag_service.testing.model_server import ModelServer, Reply
from tests.conftest import Server
from tests.line import Line

QUESTION = "What is the moon made of?"
SAID = "".join(f"w{number} " for number in range(120))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PAUSES", (0.05, 0.05, 0.1, 0.1))


def through(line: Line, server: Server) -> Client:
    return Client(line.url, server.http.headers["authorization"].split()[1])


async def test_an_answer_is_whole_though_its_connection_was_lost(
    generating: Server, model_server: ModelServer
) -> None:
    model_server.reply(Reply(SAID, token_delay=0.01))
    text = ""
    names: list[str] = []
    lost: list[None] = []
    breaks = [" w5 ", " w60 "]
    async with Line(generating.url) as line, through(line, generating) as client:
        line.drop_next()  # the question itself: what was asked is not asked twice
        async for name, data in client.ask(QUESTION, lost=lambda: lost.append(None)):
            names.append(name)
            text += data["text"] if name == "delta" else ""
            if breaks and breaks[0] in text:
                del breaks[0]
                line.drop()
    assert text == SAID.strip()
    assert (names.count("start"), names.count("done"), names[-1]) == (1, 1, "done")
    assert len(lost) >= 3 and len(model_server.requests) == 1


async def test_a_server_that_does_not_come_back_is_given_up(
    generating: Server, model_server: ModelServer
) -> None:
    model_server.reply(Reply(SAID, token_delay=0.02))
    async with Line(generating.url) as line, through(line, generating) as client:
        with pytest.raises(Unreachable, match="before the answer was complete"):
            async for name, _ in client.ask(QUESTION):
                if name == "delta":
                    line.cut()
        with pytest.raises(RagError, match="does not answer"):
            await anext(client.ask("And now?"))

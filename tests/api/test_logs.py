"""Logs: enough to find a request by its id, and nothing that a user or a document said."""

import logging

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from rag_service.testing.model_server import Fault, ModelServer, Reply
from tests.api.conftest import Guest, client_of
from tests.api.support import check_problem, stream, whole
from tests.conftest import Serve, Server

QUESTION = "What does the xylophone-question cost?"
DOCUMENT = "The xylophone-document costs ninety."
SAID = "xylophone-answer"


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """All that the log holds: messages, extra fields and tracebacks; the lines of our own client left out."""
    parts = []
    for record in caplog.records:
        if record.name == "httpx":
            continue
        parts.append(record.getMessage())
        parts += [f"{key}={value}" for key, value in vars(record).items()]
        if record.exc_info:
            parts.append(logging.Formatter().formatException(record.exc_info))
    return "\n".join(parts)


async def test_no_key_question_document_or_answer_is_logged(
    serve: Serve, model_server: ModelServer, guest: Guest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, "rag_service")
    caplog.set_level(logging.DEBUG, "ingest")
    own = {
        "openai_api_key": SecretStr("sk-xylophone-of-ours"),
        "secret_key": SecretStr("xylophone-of-ours" * 3),
    }
    model = {"chat_model": "openai:test-model", "openai_base_url": model_server.base_url}
    told: list[str] = []

    async def keep(answer: httpx.Response) -> None:
        await answer.aread()
        told.append(answer.text + str(answer.headers))

    async with serve(**own, **model) as server:
        server.http.event_hooks["response"] = [keep]
        secrets = [server.http.headers["authorization"].removeprefix("Bearer ")]
        await server.upload(("costs.md", f"# Costs\n\n{DOCUMENT}"), ("empty.md", ""))
        caller = await guest(server)
        caller.event_hooks["response"] = [keep]
        secrets.append(caller.headers["authorization"].removeprefix("Bearer "))
        model_server.reply(Reply(f"It is the {SAID} [1]."))
        first = await whole(caller, QUESTION)
        assert SAID in first["answer"]
        await stream(caller, "And the xylophone-follow-up?", conversation_id=first["conversation_id"])
        for fault in (Fault.SERVER_ERROR, Fault.CUT, Fault.TRUNCATED_JSON):
            model_server.reply(Reply(f"{SAID} and more", fault=fault))
            await stream(caller, QUESTION)
        too_long = {"message": "xylophone" * 1000}
        check_problem(await caller.post("/api/v1/chat", json=too_long), 422, "invalid_input")
        await caller.post("/api/v1/search", json={"query": QUESTION})
        async with client_of(server.url, "rag_admin_xylophone") as nobody:
            await nobody.get("/api/v1/jobs", params={"state": "xylophone-query"})
        for path in ("/health/ready", "/api/v1/openapi.json", "/docs", "/api/v1/keys", "/api/v1/audit"):
            await server.http.get(path)
        assert server.services.settings.database_url
        password = make_url(server.services.settings.database_url.get_secret_value()).password
    text = logged(caplog)
    assert password and password not in text and password not in "".join(told)
    assert told and "of-ours" not in "".join(told)
    assert model_server.requests[-1].headers["authorization"] == "Bearer sk-xylophone-of-ours"
    assert "request" in text and "quoting, since the language model failed" in text
    assert "xylophone" not in text
    for secret in secrets:
        assert secret not in text
        assert secret.split("_", 3)[3] not in text  # behind the prefix; it may hold an underscore itself


async def test_a_request_is_found_in_the_log_by_its_id(
    quoting: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rag_service")
    await quoting.http.get("/api/v1/nothing?secret=1", headers={"X-Request-ID": "trace-find-me"})
    (record,) = [record for record in caplog.records if record.name == "rag_service.request"]
    found = vars(record)
    assert (found["method"], found["path"], found["status"]) == ("GET", "/api/v1/nothing", 404)
    assert found["milliseconds"] >= 0


async def test_whom_an_admin_erases_is_not_in_the_log(
    quoting: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rag_service")
    answer = await quoting.http.delete("/api/v1/people/embed:emb_x:user:xylophone@example.org/and/more")
    assert answer.status_code == 200, answer.text
    assert "/api/v1/people/" in logged(caplog) and "xylophone" not in logged(caplog)

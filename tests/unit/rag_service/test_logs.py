"""Logs: one JSON object a line, with where it belongs, without a secret."""

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rag_service import logs
from rag_service.logs import redact

OUR_KEY = "rag_admin_0123456789ab_" + "kX3-9vQz_Lm27Tn4bWc8RyP0dJfH5sGaKx3x9vQzLm2"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"key {OUR_KEY}.", "key rag_admin_***."),
        (f"key=rag_chat_{OUR_KEY[10:]}&x=1", "key=rag_chat_***&x=1"),
        ("sk-proj-abcdefgh12345678, then", "sk-***, then"),
        ("sk-ant-api03-abc_DEF-123456", "sk-***"),
        ("gsk_abcdefghijklmnop", "gsk_***"),
        ("token ck-7Fabcdefghijk", "token ck-***"),
        ("postgresql+asyncpg://rag:p4ss/w0rd@db:5432/rag", "postgresql+asyncpg://rag:***@db:5432/rag"),
        ("redis://:only-a-password@cache:6379/0", "redis://:***@cache:6379/0"),
        ("Authorization: Bearer abc.def-ghi~jkl==", "Authorization: Bearer ***"),
        ("authorization: bearer   abcdefgh", "authorization: bearer   ***"),
    ],
)
def test_what_looks_like_a_credential_is_replaced(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "rag_service.chat.service",
        "a task-identifier, a risk-assessment, a disk-pressure warning",
        "http://127.0.0.1:8000/api/v1/chat and http://[::1]:8000/",
        "write to someone@example.org, see https://example.org:443/path",
        "postgresql://db/rag",
        "the bearer of news",
    ],
)
def test_what_only_resembles_a_credential_is_left_alone(text: str) -> None:
    assert redact(text) == text


Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def configure() -> Iterator[Callable[[str], Lines]]:
    """Configures logging; gives what was logged since, parsed. The loggers are put back as they were."""
    loggers = [logging.getLogger(name) for name in ("", *logging.root.manager.loggerDict)]
    before = [(logger, list(logger.handlers), logger.level) for logger in loggers]

    def start(level: str) -> Lines:
        stream = io.StringIO()
        logs.configure(level)
        [handler] = logging.root.handlers
        assert isinstance(handler, logging.StreamHandler)
        assert handler.setStream(stream) is sys.stderr
        return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]

    yield start
    for logger, handlers, level in before:
        logger.handlers = handlers
        logger.setLevel(level)


@pytest.fixture
def lines(configure: Callable[[str], Lines]) -> Lines:
    return configure("debug")


def test_a_record_is_one_json_object_on_one_line(lines: Lines) -> None:
    logging.getLogger("rag_service.x").info("two\nlines, 漢字 and %s", "“quotes”", extra={"count": 3})
    [line] = lines()
    assert line["message"] == "two\nlines, 漢字 and “quotes”"
    assert (line["level"], line["logger"], line["count"]) == ("info", "rag_service.x", 3)
    assert line["time"].endswith("+00:00")
    assert set(line) == {"time", "level", "logger", "message", "count"}


def test_values_of_any_type_can_be_logged(lines: Lines) -> None:
    logging.getLogger("x").info(
        "odd", extra={"bag": {1: {"b"}, "n": None}, "error": ValueError("no"), "t": (1.5,)}
    )
    [line] = lines()
    assert (line["bag"], line["error"], line["t"]) == ({"1": ["b"], "n": None}, "no", [1.5])


def test_an_exception_stays_in_its_line(lines: Lines) -> None:
    try:
        raise ValueError(f"cannot use\n{OUR_KEY}")
    except ValueError:
        logging.getLogger("x").exception("failed")
    [line] = lines()
    assert line["level"] == "error"
    assert "Traceback" in line["exception"] and "ValueError: cannot use\nrag_admin_***" in line["exception"]


def test_no_part_of_a_line_holds_a_secret(lines: Lines) -> None:
    logging.getLogger("x").info(
        'said "%s"',
        f"first\n{OUR_KEY}",
        extra={"deep": {"list": ["sk-abcdefgh12345678"]}, "key": f"\t{OUR_KEY}"},
    )
    [line] = lines()
    assert line["message"] == 'said "first\nrag_admin_***"'
    assert line["deep"] == {"list": ["sk-***"]}
    assert line["key"] == "\trag_admin_***"


def test_a_line_says_which_request_or_job_it_belongs_to(lines: Lines) -> None:
    token = logs.context.set({"request_id": "r-1"})
    logging.getLogger("x").info("inside")
    logs.context.reset(token)
    logging.getLogger("x").info("outside")
    inside, outside = lines()
    assert inside["request_id"] == "r-1"
    assert "request_id" not in outside


def test_levels_below_the_configured_one_and_the_chatter_of_libraries_are_left_out(
    configure: Callable[[str], Lines],
) -> None:
    lines = configure("warning")
    logging.getLogger("rag_service").info("no")
    assert lines() == []
    lines = configure("info")
    logging.getLogger("httpx").info("no")
    logging.getLogger("rag_service").debug("no")
    logging.getLogger("uvicorn.error").info("yes")
    assert [line["message"] for line in lines()] == ["yes"]

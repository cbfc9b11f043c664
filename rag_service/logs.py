"""Logs: one JSON object a line on stderr, with the request or job it belongs to and no secret in it."""

import contextvars
import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

context: contextvars.ContextVar[dict[str, str] | None] = contextvars.ContextVar("log_context", default=None)
"""What every line of the current task carries, such as `request_id` or `job_id`."""

_SECRET = re.compile(
    r"((?<!\w)rag_[a-z]+_)[\w-]{8,}"  # our keys: the prefix says which kind
    r"|((?<!\w)(?:sk-|ck-|xai-|gsk_|hf_|AIza))[\w-]{8,}"  # keys of model providers and of Chroma Cloud
    r"|(://[^/\s:@]*:)[^@\s]+(?=@)"  # a password in a URL
    r"|((?i:bearer)\s+)[\w.~+/=-]{8,}"
)


def redact(text: str) -> str:
    """`text` with everything that looks like a credential replaced by `***`."""
    return _SECRET.sub(lambda match: next(group for group in match.groups() if group) + "***", text)


class _JsonLines(logging.Formatter):
    _builtin = frozenset(vars(logging.makeLogRecord({}))) | {
        "message",
        "asctime",
        "taskName",
        "color_message",
    }

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **(context.get() or {}),
        }
        line |= {key: value for key, value in vars(record).items() if key not in self._builtin}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(_redacted(line), ensure_ascii=False)


def _redacted(value: object) -> object:
    """`value` as JSON knows it, each string in it redacted: before encoding, which would change what is around one."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _redacted(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(item) for item in value]
    return redact(str(value))


# These say at INFO what we already say, once for every request they make, or task they get.
_CHATTY = (
    "alembic",
    "anthropic",
    "celery.app.trace",
    "celery.worker.strategy",
    "chromadb",
    "httpcore",
    "httpx",
    "httpx2",
    "langchain_openai",
    "openai",
    "sentence_transformers",
)


def configure(level: str) -> None:
    """Send every logger of this process through one JSON handler on stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))

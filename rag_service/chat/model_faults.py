"""How models fail. Every provider raises errors of its own; whichever it is, it becomes one of ours here."""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from rag_service.errors import ModelUnavailable

# By name, since most of the SDKs are not installed: the bases under OpenAI's and Anthropic's, httpx's, aiohttp's (which
# is under Google's), and Python's.
_BROKEN, _LATE = "ClientConnectionError", "ServerTimeoutError"
_CONNECTION = {"APIConnectionError", "TransportError", _BROKEN, "ClientPayloadError", "ConnectionError"}
_PARSER = "HttpProcessingError"
"""aiohttp's parser met half an answer; the code in its errors is one of its own."""
_TIMEOUT = {"APITimeoutError", "TimeoutException", "TimeoutError"}
_KINDS = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "server_error": 500,
    "api_error": 500,
    "overloaded_error": 529,
}
"""Errors inside a stream, which began with status 200, by what OpenAI and Anthropic call them."""
_OF_THE_MODEL = (401, 403, 404, 408, 429)
"""Below 500, these tell of the model and not of the one question."""


class ModelFault(ModelUnavailable):
    """A model that gave no whole answer.

    `is_transient`: the same question may fare better in a moment, after `retry_after` seconds where the model named
    them. `is_ill`: others would fare as badly; None where the end says nothing of the model.
    """

    def __init__(
        self,
        detail: str,
        *,
        code: str,
        is_transient: bool = False,
        retry_after: float | None = None,
        is_ill: bool | None = True,
    ) -> None:
        super().__init__(detail, code=code)
        self.is_transient = is_transient
        self.retry_after = retry_after
        self.is_ill = is_ill


def silent(seconds: float) -> ModelFault:
    """It said nothing for so long."""
    return ModelFault(f"The language model was silent for {seconds:.0f} seconds.", code="model_timeout")


def fault_of(error: Exception, key: str) -> ModelFault:
    """The fault that a provider's error tells of; `key` is the setting that holds its credential.

    Nothing of the error's own text is in it: that may hold a key.
    """
    names = {kind.__name__ for cause in _causes(error) for kind in type(cause).__mro__}
    # Where it is known, what aiohttp says counts: the client around it calls each broken connection a timeout.
    if names & _TIMEOUT and not (_BROKEN in names and _LATE not in names):
        return ModelFault("The language model does not answer.", code="model_timeout")
    status = _status(error)
    return ModelFault(
        _sentence(status, key),
        code="model_failed",
        is_transient=(
            bool(names & _CONNECTION)
            if status is None
            else (status == 429 or status >= 500) and "insufficient_quota" not in _said(error)
        ),
        retry_after=_retry_after(error),
        is_ill=status is None or status >= 500 or status in _OF_THE_MODEL,
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _status(error: Exception) -> int | None:
    """The HTTP status that the provider answered with, or would have; None where it is not known."""
    if any(detail.get("reason") == "API_KEY_INVALID" for detail in _details(error)):
        return 401  # to Google it is a 400, as a question that is too long would be
    for told in (error, error.__cause__):  # LangChain's package for Google puts its own error around some
        if any(kind.__name__ == _PARSER for kind in type(told).__mro__):
            continue
        response = getattr(told, "response", None)
        for found in (
            getattr(told, "status_code", None),
            getattr(response, "status_code", None),
            getattr(told, "code", None),
        ):
            if isinstance(found, int) and found >= 400:
                return int(found)
    return next((_KINDS[kind] for kind in _said(error) if kind in _KINDS), None)


def _details(error: Exception) -> list[Mapping[str, Any]]:
    """What Google's API tells beside a status, each with its own fields."""
    for told in (error, error.__cause__):
        body = getattr(told, "details", None)
        inner = body.get("error") if isinstance(body, Mapping) else None
        if isinstance(inner, Mapping):
            return [detail for detail in inner.get("details") or [] if isinstance(detail, Mapping)]
    return []


def _said(error: Exception) -> list[str]:
    """The words for its kind that an error carries."""
    body = getattr(error, "body", None)
    inner = body.get("error") if isinstance(body, Mapping) else None
    places: list[Any] = [error, body, inner]
    found = []
    for place in places:
        for name in ("code", "type"):
            value = place.get(name) if isinstance(place, Mapping) else getattr(place, name, None)
            if isinstance(value, str):
                found.append(value)
    return found


def _retry_after(error: Exception) -> float | None:
    """Seconds, above 0, after which the provider wants to be asked again."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        if (ms := headers.get("retry-after-ms")) is not None:
            seconds = float(ms) / 1000
        elif delays := [str(detail["retryDelay"]) for detail in _details(error) if "retryDelay" in detail]:
            seconds = float(delays[0].removesuffix("s"))
        else:
            seconds = _seconds(headers.get("retry-after"))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def _seconds(header: str | None) -> float:
    """A number of seconds, or the time to a date. Raises ValueError where it is neither."""
    try:
        return float(header or "")
    except ValueError:
        when = parsedate_to_datetime(header or "")
        return (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


def _sentence(status: int | None, key: str) -> str:
    if status == 429:
        return "The language model has too many requests right now; try again in a moment."
    if status in (401, 403):
        return f"The language model refused our credential; an administrator must check {key}."
    if status is not None:
        return f"The language model answered with an error ({status})."
    return "The language model does not answer."

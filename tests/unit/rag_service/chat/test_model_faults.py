"""What providers' errors become, and what a turn's calls cost together."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import aiohttp
import httpx
import httpx2
import openai
import pytest

from rag_service.chat.model_faults import fault_of
from rag_service.chat.usage import Call, usage_of
from rag_service.settings import Price

REQUEST = httpx.Request("POST", "http://model/v1")
SECRET = "sk-proj-0123456789abcdef"


def refused(status: int, **headers: str) -> Exception:
    response = httpx.Response(status, headers=headers, request=REQUEST)
    return httpx.HTTPStatusError(f"no, with {SECRET}", request=REQUEST, response=response)


def in_stream(**body: str) -> Exception:
    """As OpenAI's package raises what comes after a stream was created with status 200."""
    return openai.APIError(SECRET, request=httpx2.Request("POST", "http://model/v1"), body=body)


class ClientError(Exception):
    """As Google's package has it: no response of httpx, but what the body said."""

    def __init__(self, code: int, *details: dict[str, str]) -> None:
        super().__init__(SECRET)
        self.code = code
        self.details = {"error": {"code": code, "details": list(details)}}


def by_google(code: int, *details: dict[str, str]) -> Exception:
    """As LangChain's package for Google raises what it catches."""
    error = RuntimeError(SECRET)
    error.__cause__ = ClientError(code, *details)
    return error


KEY_INVALID = {"reason": "API_KEY_INVALID"}


def test_a_key_that_google_refuses_is_told_from_a_question_that_it_does() -> None:
    for error in (ClientError(400, KEY_INVALID), by_google(400, KEY_INVALID)):
        assert "check GOOGLE_API_KEY" in fault_of(error, "GOOGLE_API_KEY").detail
    for error in (ClientError(400), by_google(400, {"reason": "SOMETHING_ELSE"})):
        fault = fault_of(error, "GOOGLE_API_KEY")
        assert (fault.is_transient, fault.is_ill) == (False, False) and "(400)" in fault.detail


def cut_short() -> Exception:
    """As aiohttp raises what was cut in mid-answer: with a code of its parser's."""
    error = aiohttp.ClientPayloadError("not completed")
    error.__cause__ = aiohttp.http_exceptions.TransferEncodingError("not enough data")
    return error


@pytest.mark.parametrize(
    ("error", "transient", "ill"),
    [
        (refused(429), True, True),
        (refused(500), True, True),
        (refused(529), True, True),
        (refused(400), False, False),  # too long a question must not take the model from everybody
        (refused(413), False, False),
        (refused(401), False, True),
        (refused(404), False, True),
        (in_stream(code="rate_limit_exceeded", type="tokens"), True, True),
        (in_stream(type="server_error"), True, True),
        (in_stream(code="insufficient_quota", type="rate_limit_error"), False, True),
        (httpx.RemoteProtocolError("cut"), True, True),
        (cut_short(), True, True),
        (aiohttp.ServerDisconnectedError(), True, True),
        (aiohttp.ServerTimeoutError(), False, True),
        (by_google(429), True, True),
        (ConnectionError("refused"), True, True),
        (httpx.ReadTimeout("silent"), False, True),
        (ValueError("half a JSON"), False, True),
    ],
    ids=lambda case: f"{type(case).__name__}-{case}"[:50] if isinstance(case, Exception) else None,
)
def test_what_is_worth_another_try_and_what_tells_of_the_model(
    error: Exception, transient: bool, ill: bool
) -> None:
    fault = fault_of(error, "MISTRAL_API_KEY")
    assert (fault.is_transient, fault.is_ill) == (transient, ill)
    assert SECRET not in str(fault)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)}, 86_400.0),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}, None),
        *[({"retry-after": odd}, None) for odd in ("0", "-1", "nan", "inf", "soon", "")],
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read_in_every_form_and_nonsense_left_out(
    headers: dict[str, str], seconds: float | None
) -> None:
    found = fault_of(refused(429, **headers), "").retry_after
    assert found is None if seconds is None else found == pytest.approx(seconds, rel=0.05)


@pytest.mark.parametrize(("delay", "seconds"), [("17s", 17.0), ("0.5s", 0.5), ("0s", None), ("soon", None)])
def test_google_tells_in_the_body_how_long_to_wait(delay: str, seconds: float | None) -> None:
    kind = "type.googleapis.com/google.rpc.RetryInfo"
    error = by_google(429, {"reason": "RATE_LIMIT_EXCEEDED"}, {"@type": kind, "retryDelay": delay})
    assert fault_of(error, "").retry_after == seconds


def test_a_refused_credential_names_its_setting() -> None:
    assert "MISTRAL_API_KEY" in fault_of(refused(401), "MISTRAL_API_KEY").detail


def call(model: str, price: Price | None = None, **told: Any) -> Call:
    made = Call("answer", model, **told)
    made.price(price)
    return made


def test_the_calls_of_a_turn_are_summed_and_a_price_that_is_missing_leaves_no_half_sum() -> None:
    priced = call("a", Price(input=0.15, output=0.6), input_tokens=2_000_000, output_tokens=1_000_000)
    failed = call("dead", outcome="model_failed")
    told = usage_of([failed, priced])
    assert (told["input_tokens"], told["output_tokens"], told["total_tokens"]) == (
        2_000_000,
        1_000_000,
        3_000_000,
    )
    assert (told["cost"], told["estimated"]) == (0.9, False)
    free = call("b", input_tokens=1, output_tokens=0, estimated=True)
    assert usage_of([priced, free])["cost"] is None
    assert usage_of([priced, free])["estimated"] is True
    assert usage_of([failed])["cost"] is None
    assert usage_of([]) == {}

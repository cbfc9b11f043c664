"""Errors on the wire: RFC 9457 problems with a stable `code` and the request's id."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from rag_service.api import openai_errors
from rag_service.errors import InvalidInput, RagError, TooMany

_CODES = {400: "bad_request", 404: "route_not_found", 405: "method_not_allowed", 413: "too_large"}


def problem(
    request: Request,
    *,
    status: int,
    code: str,
    title: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> JSONResponse:
    """The response for one error. Where clients speak OpenAI's protocol, it has the shape that they read."""
    if openai_errors.are_read(request.url.path):
        fields = more.get("errors") or [{}]
        return openai_errors.response(status, code, detail, field=fields[0].get("field"), headers=headers)
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": getattr(request.state, "request_id", None),
        **more,
    }
    return JSONResponse(body, status, headers=dict(headers or {}), media_type="application/problem+json")


def rate_limit(name: str, most: int, window: int, seconds: int, *, left: int) -> dict[str, str]:
    """How a caller stands, in the fields of the IETF's draft (draft-ietf-httpapi-ratelimit-headers-10)."""
    until = f";t={seconds}" if seconds else ""
    over = f";w={window}" if window else ""
    return {"RateLimit-Policy": f'"{name}";q={most}{over}', "RateLimit": f'"{name}";r={left}{until}'}


async def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RagError)  # noqa: S101 - registered for this class alone
    return problem_of(request, error)


def problem_of(request: Request, error: RagError) -> JSONResponse:
    """The response for an error of ours."""
    headers: dict[str, str] = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retryable:
        headers["Retry-After"] = str(error.again_seconds)
    if isinstance(error, TooMany) and error.limit is not None:
        headers |= rate_limit(*error.limit, left=0)
    return problem(
        request, status=error.status, code=error.code, title=error.title, detail=error.detail, headers=headers
    )


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    errors = [
        {"field": _field(item), "message": item["msg"].removeprefix("Value error, ")}
        for item in error.errors()
    ]
    said = "; ".join(f"{item['field']}: {item['message']}" for item in errors[:5])
    return problem(
        request, status=422, code=InvalidInput.code, title=InvalidInput.title, detail=said, errors=errors[:20]
    )


def _field(item: Mapping[str, Any]) -> str:
    """Which field an error is about. What is no JSON has no fields, only a place where it breaks off."""
    place, *path = item["loc"]
    is_place = item["type"] == "json_invalid" and path and isinstance(path[0], int)
    return str(place) if is_place or not path else ".".join(map(str, path))


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    return problem(
        request,
        status=error.status_code,
        code=_CODES.get(error.status_code, "http_error"),
        title=error.detail,
        detail=error.detail,
        headers=error.headers,
    )


async def _fault(request: Request, _: Exception) -> JSONResponse:
    # The server logs the exception; what it says stays there.
    return problem(
        request,
        status=500,
        code=RagError.code,
        title=RagError.title,
        detail="Something went wrong on our side. The request_id finds it in the log.",
    )


def install(app: FastAPI) -> None:
    """Answer every error of the app as a problem."""
    app.add_exception_handler(RagError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _fault)

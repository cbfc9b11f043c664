"""Errors as clients of OpenAI's protocol read them: `{"error": {message, type, param, code}}`."""

from collections.abc import Mapping
from typing import Any

from fastapi.responses import JSONResponse

_CODES = {"unauthenticated": "invalid_api_key"}
"""Codes that OpenAI's clients know by another name than ours."""
_PARAMS = {"model_not_found": "model"}
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def are_read(path: str) -> bool:
    """Whether who asks for this path reads errors in this form."""
    return path == "/v1" or path.startswith("/v1/")


def body(status: int, code: str, message: str, *, field: str | None = None) -> dict[str, Any]:
    """The JSON of an error; `field` is what in the request it is about."""
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {
        "error": {
            "message": message,
            "type": kind,
            "param": field or _PARAMS.get(code),
            "code": _CODES.get(code, code),
        }
    }


def response(
    status: int, code: str, message: str, *, field: str | None, headers: Mapping[str, str] | None
) -> JSONResponse:
    """The response for one error. What cannot be used is a 400 here, as it is at OpenAI's."""
    status = 400 if status == 422 else status
    return JSONResponse(body(status, code, message, field=field), status, headers=dict(headers or {}))

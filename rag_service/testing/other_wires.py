"""How a streamed chat answer looks on Anthropic's wire, on Google's and on Ollama's."""

import time
import uuid
from typing import Any

from rag_service.testing.completions import Fault, Reply, Wire, as_json, content_of, split_tokens

_ENDS = {"stop": "end_turn", "length": "max_tokens"}
_GOOGLE_ENDS = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}


def anthropic_wire(body: dict[str, Any], reply: Reply, tokens: list[str]) -> Wire:
    """Named server-sent events; the last but one tells all tokens so far."""
    usage = _usage(body, reply, tokens)
    opening = {
        **{"id": f"msg_{uuid.uuid4().hex}", "type": "message", "role": "assistant", "model": body["model"]},
        **{"content": [], "stop_reason": None, "stop_sequence": None},
        "usage": {"input_tokens": usage["prompt_tokens"], "output_tokens": 0},
    }
    counts = {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]}
    ending = {"stop_reason": _ENDS.get(reply.finish_reason, reply.finish_reason), "stop_sequence": None}
    return Wire(
        [
            _event("message_start", message=opening),
            _event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        ],
        [
            _event("content_block_delta", index=0, delta={"type": "text_delta", "text": token})
            for token in tokens
        ],
        [
            _event("content_block_stop", index=0),
            _event("message_delta", delta=ending, usage=counts),
            _event("message_stop"),
        ]
        if reply.fault is not Fault.NO_DONE
        else [],
        _event("error", error={"type": "overloaded_error", "message": "Overloaded"}),
    )


def google_question(body: dict[str, Any], model: str) -> dict[str, Any]:
    """What Google's protocol asks for, as the others say it; always for a stream."""
    roles = {"model": "assistant"}
    said = [("system", body.get("systemInstruction") or {})]
    said += [(roles.get(one.get("role"), "user"), one) for one in body["contents"]]
    messages = [{"role": role, "content": one.get("parts") or ""} for role, one in said]
    return {"model": model, "stream": True, "messages": messages}


def google_wire(body: dict[str, Any], reply: Reply, tokens: list[str]) -> Wire:
    """Unnamed server-sent events, each telling of all tokens so far; the last text has the reason for the end beside
    it. Where there is no text, the question was blocked."""
    asked = _usage(body, reply, tokens)["prompt_tokens"]
    last = len(tokens) - 1

    def event(number: int) -> bytes:
        said = number + 1 if reply.usage is None or number < last else reply.usage["completion_tokens"]
        counts = {"promptTokenCount": asked, "candidatesTokenCount": said, "totalTokenCount": asked + said}
        candidate: dict[str, Any] = {
            "content": {"role": "model", "parts": [{"text": tokens[number]}]},
            "index": 0,
        }
        if number == last and reply.fault is not Fault.NO_DONE:
            candidate["finishReason"] = _GOOGLE_ENDS.get(reply.finish_reason, reply.finish_reason)
        told = {"candidates": [candidate], "usageMetadata": counts, "modelVersion": body["model"]}
        return _google_event(told)

    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": asked}}
    return Wire(
        [],
        [event(number) for number in range(len(tokens))],
        [] if tokens else [_google_event(blocked)],
        _google_event(google_error(503, "UNAVAILABLE")),
    )


def _google_event(data: dict[str, Any]) -> bytes:
    return b"data: %b\r\n\r\n" % as_json(data)


def google_error(code: int, status: str, **detail: str) -> dict[str, Any]:
    """An error of Google's: what may be acted on stands in its details."""
    return {
        "error": {"code": code, "message": "No.", "status": status, "details": [detail] if detail else []}
    }


def google_refusal(reply: Reply) -> dict[str, Any] | None:
    """What is answered in the place of a stream, if anything; the body, not a header, tells when to come again."""
    if reply.fault is Fault.RATE_LIMITED:
        kind = "type.googleapis.com/google.rpc.RetryInfo"
        return google_error(
            429, "RESOURCE_EXHAUSTED", **{"@type": kind, "retryDelay": f"{reply.retry_after}s"}
        )
    if reply.fault is Fault.KEY_REFUSED:
        return google_error(400, "INVALID_ARGUMENT", reason="API_KEY_INVALID", domain="googleapis.com")
    return google_error(500, "INTERNAL") if reply.fault is Fault.SERVER_ERROR else None


def ollama_wire(body: dict[str, Any], reply: Reply, tokens: list[str]) -> Wire:
    """A JSON a line; the last says how many tokens there were."""
    usage = _usage(body, reply, tokens)
    head = {"model": body["model"], "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}

    def line(text: str, **more: object) -> bytes:
        message = {"role": "assistant", "content": text}
        return as_json({**head, "message": message, "done": False, **more}) + b"\n"

    counts = {"prompt_eval_count": usage["prompt_tokens"], "eval_count": usage["completion_tokens"]}
    return Wire(
        [],
        [line(token) for token in tokens],
        [line("", done=True, done_reason=reply.finish_reason, **counts)]
        if reply.fault is not Fault.NO_DONE
        else [],
        as_json({"error": "llama runner process has terminated"}) + b"\n",
    )


def _event(kind: str, **data: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), as_json({"type": kind, **data}))


def _usage(body: dict[str, Any], reply: Reply, tokens: list[str]) -> dict[str, int]:
    if reply.usage is not None:
        return dict(reply.usage)
    said = [content_of(message) for message in body["messages"]] + [
        content_of({"content": body.get("system")})
    ]
    return {"prompt_tokens": sum(len(split_tokens(text)) for text in said), "completion_tokens": len(tokens)}

"""How a streamed chat answer looks on Anthropic's wire, and on Ollama's."""

import time
import uuid
from typing import Any

from rag_service.testing.completions import Fault, Reply, Wire, as_json, content_of, split_tokens

_ENDS = {"stop": "end_turn", "length": "max_tokens"}


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

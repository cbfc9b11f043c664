"""The model server of the streaming benches, in a process of its own: 20 tokens a second.

`python -m evals.bench.upstream` prints its address. A question that says so is answered at length.
"""

import sys
import threading
from collections.abc import Mapping
from typing import Any

from rag_service.testing.model_server import ModelServer, Reply

TOKENS_A_SECOND = 20.0
AT_LENGTH = "Tell at length"
SECONDS_AT_LENGTH = 120

SHORT = "It is written there [1]."
LONG = " ".join(["The", *["handbook says how the work goes on,"] * 400])


def text(body: Mapping[str, Any]) -> str:
    """What the model says to a chat request."""
    return LONG if AT_LENGTH in str(body["messages"][-1]["content"]) else SHORT


def main() -> None:
    with ModelServer(Reply(text, tokens_per_second=TOKENS_A_SECOND)) as server:
        sys.stdout.write(f"{server.base_url}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()

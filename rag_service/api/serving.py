"""The server around the app: a connection that can be cut, heads that end, and an end that waits for answers under
way."""

import asyncio
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

CONNECTION = "connection"
"""Where a request's state holds its transport: ASGI has no word for cutting a connection."""

CLOSING_SECONDS = 4.0
"""Of the time for draining, what is kept for saving answers that were interrupted, and for closing connections."""

HEAD_BYTES = 64 * 1024
"""What a head that does not end may have before it is refused. One that has come whole may have a little more."""


class Protocol(HttpToolsProtocol):
    """HTTP with the connection at hand.

    The parser keeps an address or a header until it has the end of it, and uvicorn sets it no limit. So what came in
    since the end of a head or a piece of a body is counted: more than `HEAD_BYTES` is refused, be it a head, the length
    of a chunk or a trailer.
    """

    _without_end = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, CONNECTION: transport}

    def data_received(self, data: bytes) -> None:
        self._without_end += len(data)
        super().data_received(data)
        if self._without_end > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_headers_complete(self) -> None:
        self._without_end = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._without_end = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._without_end = 0
        super().on_message_complete()


class DrainingServer(uvicorn.Server):
    """Ends by itself when the app finds that it cannot start; drained when a signal asks it to end.

    While it drains it goes on answering: it is not ready any more, and begins no turn. A second signal interrupts the
    turns under way, which are saved all the same.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, *, drain_seconds: float) -> None:
        super().__init__(config)
        self._app = app
        self._patience = max(drain_seconds / 2, drain_seconds - CLOSING_SECONDS)
        self._signals = 0
        self._work: list[asyncio.Task[None]] = []

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._signals += 1

    async def on_tick(self, counter: int) -> bool:
        startup = self._app.state.startup
        if startup.failure is not None or (self._signals and startup.services is None):
            return True
        if len(self._work) < min(self._signals, 2):
            runs = startup.services.chat.runs
            self._work.append(asyncio.create_task(runs.close() if self._work else runs.drain(self._patience)))
        return bool(self._work and self._work[0].done()) or await super().on_tick(counter)

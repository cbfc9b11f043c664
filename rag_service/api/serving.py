"""The server around the app: a connection that can be cut, and an end that waits for answers under way."""

import asyncio
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

CONNECTION = "connection"
"""Where a request's state holds its transport: ASGI has no word for cutting a connection."""

CLOSING_SECONDS = 4.0
"""Of the time for draining, what is kept for saving answers that were interrupted, and for closing connections."""


class Protocol(HttpToolsProtocol):
    """HTTP with the connection at hand."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, CONNECTION: transport}


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

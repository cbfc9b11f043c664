"""The api process: `uvicorn rag_service.main:app`, or `python -m rag_service.main [--fd N]`."""

import argparse
import gc
import socket
import sys

import uvicorn

from rag_service import logs
from rag_service.api.serving import DrainingServer, Protocol
from rag_service.app import create_app
from rag_service.settings import load_settings

CONNECTIONS_SECONDS = 2
"""How long connections may take to close once all answers have ended."""

settings = load_settings()
logs.configure(settings.log_level)
app = create_app(settings)


class _Server(DrainingServer):
    """Has the garbage collector leave alone what was loaded at the start.

    To look through a million objects that stay, again and again, took up to a third of the processor time of a stream,
    and held all streams up meanwhile.
    """

    _is_frozen = False

    async def on_tick(self, counter: int) -> bool:
        if not self._is_frozen and app.state.startup.services is not None:
            gc.collect()
            gc.freeze()
            self._is_frozen = True
        return await super().on_tick(counter)


def run(fd: int | None) -> int:
    """Serve until told to stop, on a socket handed over by the parent or on one of our own."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the app believes those of RAG_TRUSTED_PROXIES alone
        http=Protocol,
        timeout_graceful_shutdown=CONNECTIONS_SECONDS,
    )
    server = _Server(config, app, drain_seconds=settings.drain_seconds)
    server.run(sockets=[socket.socket(fileno=fd)] if fd is not None else None)
    failure = app.state.startup.failure
    if failure is not None:
        print(f"rag-service: {failure.detail}", file=sys.stderr)  # noqa: T201 - the process's last word
    return 3 if failure is not None else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m rag_service.main")
    parser.add_argument("--fd", type=int, help="an open, listening socket to serve on")
    sys.exit(run(parser.parse_args().fd))

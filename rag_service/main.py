"""The api process: `uvicorn rag_service.main:app`, or `python -m rag_service.main [--fd N]`."""

import argparse
import gc
import socket
import sys

import uvicorn

from rag_service import logs
from rag_service.app import create_app
from rag_service.settings import load_settings

DRAIN_SECONDS = 4

settings = load_settings()
logs.configure(settings.log_level)
app = create_app(settings)


class _Server(uvicorn.Server):
    """Ends by itself when the app finds that it cannot start."""

    _is_frozen = False

    async def on_tick(self, counter: int) -> bool:
        if not self._is_frozen and app.state.startup.services is not None:
            # What has been loaded, a million objects, stays: to look through it for garbage, again and again, takes a
            # third of the processor time of a stream, and holds all of them up meanwhile.
            gc.collect()
            gc.freeze()
            self._is_frozen = True
        return app.state.startup.failure is not None or await super().on_tick(counter)


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
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    _Server(config).run(sockets=[socket.socket(fileno=fd)] if fd is not None else None)
    failure = app.state.startup.failure
    if failure is not None:
        print(f"rag-service: {failure.detail}", file=sys.stderr)  # noqa: T201 - the process's last word
    return 3 if failure is not None else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m rag_service.main")
    parser.add_argument("--fd", type=int, help="an open, listening socket to serve on")
    sys.exit(run(parser.parse_args().fd))

"""A way to a server that breaks, or falls silent, when it is told to."""

import asyncio
import contextlib
from typing import Self
from urllib.parse import urlsplit


class Line:
    """A line to the server at an address, which can be cut, as when the server is gone."""

    def __init__(self, to: str) -> None:
        self.url = ""
        self._to = urlsplit(to)
        self._is_silent = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._listener: asyncio.Server | None = None
        self._drops_next = False

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        await asyncio.sleep(0)

    def cut(self) -> None:
        """End every connection, and take no new one."""
        if self._listener:
            self._listener.close()
        self.drop()

    def drop(self) -> None:
        """End every connection; new ones are taken."""
        for writer in self._open:
            writer.transport.abort()

    def hush(self) -> None:
        """Swallow what is sent on the connections that are open, and keep them open, as a network does whose other end
        vanished; new ones work."""
        self._is_silent.set()
        self._is_silent = asyncio.Event()

    def drop_next(self) -> None:
        """Let the next request arrive, and end its connection before anything of the answer is handed on."""
        self._drops_next = True

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(self._to.hostname, self._to.port)
        except OSError:
            writer.close()  # as a server that is gone would
            return
        self._open |= {writer, far_writer}
        if self._drops_next:
            self._drops_next = False
            await asyncio.gather(
                _pipe(reader, far_writer, self._is_silent), self._drop_answer(far_reader, writer)
            )
        is_silent = self._is_silent
        await asyncio.gather(_pipe(reader, far_writer, is_silent), _pipe(far_reader, writer, is_silent))
        for one in (writer, far_writer):
            one.close()
        self._open -= {writer, far_writer}

    async def _drop_answer(self, far_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await far_reader.read(1)
        writer.transport.abort()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_silent: asyncio.Event) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            if not is_silent.is_set():
                writer.write(data)
                await writer.drain()
    if not is_silent.is_set():
        writer.close()

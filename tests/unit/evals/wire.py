"""A way to a server that can be cut: what a client sees when its target dies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Wire:
    """A connection between client and target that can be cut."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._writers: list[asyncio.StreamWriter] = []
        self.server: asyncio.Server | None = None

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            to_reader, to_writer = await asyncio.open_connection(*self._to)
        except OSError:
            writer.close()  # as a server that is gone would
            return
        self._writers += [writer, to_writer]
        await asyncio.gather(self._pump(reader, to_writer), self._pump(to_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
        writer.close()

    def cut(self) -> None:
        assert self.server is not None
        self.server.close()
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def wired(url: str) -> AsyncIterator[tuple[str, Wire]]:
    """An address that leads to `url` until the wire is cut."""
    host, port = url.removeprefix("http://").split(":")
    wire = Wire(host, int(port))
    wire.server = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{wire.server.sockets[0].getsockname()[1]}", wire
    finally:
        wire.cut()

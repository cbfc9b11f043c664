"""A real Redis of a test's own, that can be killed, stopped and started again."""

import asyncio
import shutil
from pathlib import Path

from redis import Redis, RedisError

from rag_service.supervisor.sockets import free_loopback_port
from tests.integration.ingestion import WAIT_SECONDS


class LocalRedis:
    """A Redis that remembers nothing when it is killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_loopback_port(31_000, 31_999)
        self._process: asyncio.subprocess.Process | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.client = Redis.from_url(self.url)

    async def start(self) -> None:
        program = shutil.which("redis-server")
        assert program, "these tests need redis-server: apt-get install redis-server"
        options = ("--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder))
        self._process = await asyncio.create_subprocess_exec(
            program, *options, stdout=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(WAIT_SECONDS):
            while not self._answers():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisError:
            return False

"""One reader of files: a process that is started when it is needed, and may be killed at any time."""

import asyncio
import json
import logging
import os
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict
from typing import IO, Any

from ingest.limits import Limits

logger = logging.getLogger(__name__)

RECYCLE_AFTER = 200
"""Documents a child reads before a fresh one takes its place: libraries keep memory."""

_SECRETS = ("RAG_", "OPENAI_", "DATABASE_URL", "CHROMA_URL", "REDIS_URL")
"""What begins like this in the environment is none of a reader's business: it opens files of strangers."""


class Died(Exception):
    """The reader died over a file; `returncode` tells how."""

    def __init__(self, returncode: int) -> None:
        super().__init__(returncode)
        self.returncode = returncode


class Child:
    """Asks its process one question at a time. It is the caller's to let nobody else ask meanwhile."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: asyncio.subprocess.Process | None = None
        self._answered = 0
        self.files: tuple[IO[bytes], IO[bytes]] = (tempfile.TemporaryFile(), tempfile.TemporaryFile())  # noqa: SIM115

    async def ask(self, request: dict[str, str]) -> dict[str, Any]:
        """The answer; what goes with it lies in `files`.

        Raises:
            Died: the process died over the question.
        """
        process = await self._that_hears(request)
        assert process.stdout  # noqa: S101 - it was started with pipes
        line = await process.stdout.readline()
        if not line.endswith(b"\n"):
            raise Died(await self._buried(process))
        self._answered += 1
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def _that_hears(self, request: dict[str, str]) -> asyncio.subprocess.Process:
        """A process that has taken the question up. One that was idle may have died meanwhile: another is asked."""
        for _ in range(2):
            process = await self._ready()
            assert process.stdin and process.stdout  # noqa: S101 - it was started with pipes
            with suppress(ConnectionError):  # it died between two files: reading tells
                process.stdin.write(json.dumps(request).encode() + b"\n")
                await process.stdin.drain()
            if await process.stdout.readline():
                return process
            returncode = await self._buried(process)
        raise Died(returncode)

    async def end(self) -> None:
        """Kill the process, if there is one. The next question starts another."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def close(self) -> None:
        await self.end()
        for file in self.files:
            file.close()

    async def _buried(self, process: asyncio.subprocess.Process) -> int:
        """What a process that died returned."""
        returncode = await process.wait()
        logger.warning("the reader of files died", extra={"returncode": returncode})
        await self.end()
        return returncode

    async def _ready(self) -> asyncio.subprocess.Process:
        if self._answered >= RECYCLE_AFTER:
            await self.end()
        if self._process is None or self._process.returncode is not None:
            self._answered = 0
            descriptors = [file.fileno() for file in self.files]
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "ingest.extract", json.dumps(asdict(self._limits))),
                *map(str, descriptors),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                pass_fds=descriptors,
                env=_environment(),
                limit=2**24,
            )
        return self._process


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_SECRETS)}
    # One core a reader: recognising text on several at once costs more than it saves.
    return kept | {"OMP_THREAD_LIMIT": "1"}

"""The parent's side of extraction: a child process that can be killed, and is, when it takes too long."""

import asyncio
import json
import logging
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ingest.blocks import Block, Extraction
from rag_service.errors import UnreadableDocument

logger = logging.getLogger(__name__)

RECYCLE_AFTER = 200
"""Documents a child reads before a fresh one takes its place: libraries keep memory."""


class Extractor:
    """Reads files in a child process, one at a time. A file that hangs or crashes it costs only that file."""

    def __init__(self, *, seconds: float, memory_mb: int) -> None:
        self._seconds = seconds
        self._memory_mb = memory_mb
        self._child: asyncio.subprocess.Process | None = None
        self._answered = 0
        self._busy = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def extract(self, path: Path, name: str) -> Extraction:
        """Read one file.

        Raises:
            UnreadableDocument: no text can be had of it within the limits of time and memory.
        """
        async with self._busy:
            try:
                async with asyncio.timeout(self._seconds):
                    answer = await self._ask({"path": str(path), "name": name})
            except TimeoutError as error:
                await self._end()
                raise UnreadableDocument(
                    f"{name} could not be read within {self._seconds:.0f} seconds (RAG_EXTRACT_SECONDS): split it, "
                    "or save it in another format.",
                    code="extraction_timeout",
                ) from error
            except BaseException:
                await self._end()  # cancelled in the middle: the next answer would be this file's
                raise
        if answer is None:
            raise UnreadableDocument(
                f"{name} made its reader crash or use more than {self._memory_mb} MB (RAG_EXTRACT_MEMORY_MB): open "
                "it in the program that made it, save it anew and upload it again.",
                code="extraction_crashed",
            )
        if failure := answer.get("error"):
            raise UnreadableDocument(failure["detail"], code=failure["code"])
        return _extraction(answer["extraction"])

    async def _ask(self, request: dict[str, str]) -> dict[str, Any] | None:
        """The child's answer, or None if it died over the question.

        A child that had been idle may have died before it: a fresh one is asked then.
        """
        was_idle = self._child is not None
        answer = await self._ask_once(request)
        return await self._ask_once(request) if answer is None and was_idle else answer

    async def _ask_once(self, request: dict[str, str]) -> dict[str, Any] | None:
        child = await self._ready()
        assert child.stdin and child.stdout  # noqa: S101 - it was started with pipes
        try:
            child.stdin.write(json.dumps(request).encode() + b"\n")
            await child.stdin.drain()
        except ConnectionError:
            pass  # it died between two files: reading tells
        line = await child.stdout.readline()
        if not line.endswith(b"\n"):
            logger.warning("the reader of files died", extra={"returncode": await child.wait()})
            await self._end()
            return None
        self._answered += 1
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def _ready(self) -> asyncio.subprocess.Process:
        if self._answered >= RECYCLE_AFTER:
            await self._end()
        if self._child is None or self._child.returncode is not None:
            self._answered = 0
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "ingest.extract",
                str(self._memory_mb),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=2**30,
            )
        return self._child

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            child.kill()
            await child.wait()


def _extraction(data: dict[str, Any]) -> Extraction:
    return Extraction(**{**data, "blocks": [Block(**block) for block in data["blocks"]]})

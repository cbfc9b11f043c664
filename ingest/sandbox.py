"""The parent's side of extraction: child processes that can be killed, and are, when a file costs too much."""

import asyncio
import signal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ingest import handoff
from ingest.blocks import Block, Extraction
from ingest.child import Child, Died
from ingest.limits import Limits
from ingest.plain import read_plain
from rag_service.errors import StorageFull, UnreadableDocument


class Extractor:
    """Reads files in child processes, one each at a time. A file that hangs or crashes one costs only that file.

    A small plain text, which can do neither, is read here.
    """

    def __init__(
        self,
        *,
        seconds: float = Limits.seconds,
        memory_mb: int = Limits.memory_mb,
        cpu_seconds: float = Limits.cpu_seconds,
        text_mb: int = Limits.text_mb,
        rows: int = Limits.rows,
        ocr_languages: str = Limits.ocr_languages,
        children: int = 1,
    ) -> None:
        self._limits = Limits(seconds, cpu_seconds, memory_mb, text_mb, rows, ocr_languages)
        self._children = [Child(self._limits) for _ in range(children)]
        self._free = asyncio.LifoQueue[Child]()  # the one that is warm goes first
        for child in self._children:
            self._free.put_nowait(child)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._children:
            await child.close()

    async def extract(self, path: Path, name: str) -> Extraction:
        """Read one file; unless it is a small plain text, as soon as a child is free.

        Raises:
            UnreadableDocument: no text can be had of it within the limits.
            StorageFull: the disk has no room for its text.
        """
        if plain := await asyncio.to_thread(read_plain, path, name):
            return plain
        child = await self._free.get()
        try:
            answer = await self._ask(child, {"path": str(path), "name": name})
            if failure := answer.get("error"):
                if failure["code"] == StorageFull.code:
                    raise StorageFull(
                        failure["detail"]
                    )  # and ends the child: it has half a text in its hands
                raise UnreadableDocument(failure["detail"], code=failure["code"])
            text, blocks = await self._handed_over(child)
            return Extraction(text, blocks, **answer)
        except UnreadableDocument:
            raise
        except BaseException:
            await child.end()  # cancelled in the middle: the next answer would be this file's
            raise
        finally:
            handoff.forget(child.files)
            self._free.put_nowait(child)

    @staticmethod
    async def _handed_over(child: Child) -> tuple[str, list[Block]]:
        reading = asyncio.create_task(asyncio.to_thread(handoff.read, child.files))
        try:
            return await asyncio.shield(reading)
        finally:
            await asyncio.wait([reading])  # cancelled or not: the files are the next one's now

    async def _ask(self, child: Child, request: dict[str, str]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await child.ask(request)
        except TimeoutError as error:
            await child.end()
            raise self._too_slow(
                request["name"], f"{self._limits.seconds:.0f} seconds (RAG_EXTRACT_SECONDS)"
            ) from error
        except Died as error:
            if error.returncode == -signal.SIGXCPU:
                most = f"{self._limits.cpu_seconds:.0f} seconds of computing (RAG_EXTRACT_CPU_SECONDS)"
                raise self._too_slow(request["name"], most) from error
            raise UnreadableDocument(
                f"{request['name']} made its reader crash or use more than {self._limits.memory_mb} MB "
                "(RAG_EXTRACT_MEMORY_MB): open it in the program that made it, save it anew and upload it again.",
                code="extraction_crashed",
            ) from error

    @staticmethod
    def _too_slow(name: str, limit: str) -> UnreadableDocument:
        return UnreadableDocument(
            f"{name} could not be read within {limit}: split it, or save it in another format.",
            code="extraction_timeout",
        )

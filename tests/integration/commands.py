"""`rag-ingest` as people run it: a process of its own."""

import asyncio
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import ingest

CODE = str(Path(ingest.__file__).parent.parent)
"""Where the code under test lies: the command must not run another that is installed."""


@dataclass
class Said:
    code: int | None
    out: str
    err: str

    def row(self, name: str) -> list[str]:
        """A document's row of the closing table."""
        (line,) = [line for line in self.out.splitlines() if re.match(rf"│ {re.escape(name)} +│", line)]
        return [cell.strip() for cell in line.strip("│").split("│")]


@dataclass
class Command:
    folder: Path
    environment: dict[str, str]

    async def __call__(self, *arguments: str | Path) -> Said:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ingest", *map(str, arguments)),
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": CODE, "COLUMNS": "250", **self.environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        return Said(process.returncode, out.decode(), err.decode())

    async def started(self, *arguments: str | Path) -> asyncio.subprocess.Process:
        """The process, under way; nobody listens to what it says."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ingest", *map(str, arguments)),
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": CODE, **self.environment},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def until(self, words: str, *arguments: str | Path) -> str:
        """Everything it says up to a line with these words; then it is stopped."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-u", "-m", "ingest", *map(str, arguments)),
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": CODE, "COLUMNS": "250", **self.environment},
            stdout=asyncio.subprocess.PIPE,
        )
        said = ""
        assert process.stdout is not None
        try:
            async with asyncio.timeout(60):
                while words not in said:
                    line = await process.stdout.readline()
                    assert line, said
                    said += line.decode()
        finally:
            process.kill()
            await process.wait()
        return said

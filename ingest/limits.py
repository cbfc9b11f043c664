"""How much one file may cost its reader, and what it is read with."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:  # the reader starts without what settings need
    from rag_service.settings import Settings

SHARE_FOR_PICTURES = 0.8
"""Of its time, a file's reader spends at most so much on recognising text: what was read by then is kept."""


@dataclass(frozen=True)
class Limits:
    """Each belongs to the setting of its name; broken, all but `rows` fail the file, and only that file."""

    seconds: float = 300.0
    cpu_seconds: float = 300.0
    memory_mb: int = 2048
    text_mb: int = 200
    rows: int = 100_000
    ocr_languages: str = "eng+ben"

    @classmethod
    def of(cls, settings: "Settings") -> Self:
        return cls(
            seconds=settings.extract_seconds,
            cpu_seconds=settings.extract_cpu_seconds,
            memory_mb=settings.extract_memory_mb,
            text_mb=settings.extract_text_mb,
            rows=settings.extract_rows,
            ocr_languages=settings.ocr_languages,
        )


class Budget:
    """What is left of a file's time, from now on."""

    def __init__(self, limits: Limits) -> None:
        self._until = time.monotonic() + SHARE_FOR_PICTURES * limits.seconds
        self._cpu_until = time.process_time() + SHARE_FOR_PICTURES * limits.cpu_seconds

    def is_left(self) -> bool:
        return time.monotonic() < self._until and time.process_time() < self._cpu_until

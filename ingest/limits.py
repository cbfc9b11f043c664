"""How much one file may cost its reader, and what it is read with."""

import time
from dataclasses import dataclass

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


class Budget:
    """What is left of a file's time, from now on."""

    def __init__(self, limits: Limits) -> None:
        self._until = time.monotonic() + SHARE_FOR_PICTURES * limits.seconds
        self._cpu_until = time.process_time() + SHARE_FOR_PICTURES * limits.cpu_seconds

    def is_left(self) -> bool:
        return time.monotonic() < self._until and time.process_time() < self._cpu_until

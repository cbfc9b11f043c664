"""Small plain texts, which the worker reads by itself: to have one read in another process costs more than reading it.

Nothing here can crash, hang or take memory that is worth a limit: of a bounded number of bytes, each is looked at a few
times. What might be anything else is left to the reader, which would make the same of what is read here.
"""

import re
from pathlib import Path, PurePosixPath

from ingest.blocks import Extraction, plain_blocks
from ingest.decoding import scrub

MOST_BYTES = 64 * 1024

_SUFFIXES = {".txt", ".text"}
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_MARKED = (
    b"<",
    b"%PDF",
    b"{\\rtf",
    b"GIF8",
    b"RIFF",
    b"Rar!",
    b"BZh",
    b"ID3",
    b"OggS",
    b"fLaC",
    b"BM",
    b"PK",
)
"""What a file of another format may begin with."""


def read_plain(path: Path, name: str) -> Extraction | None:
    """A small text in UTF-8; None for all else, also for what is missing, empty or to be refused."""
    # Nothing but a file of the store's own: a pipe would hold this process up.
    if PurePosixPath(name.lower()).suffix not in _SUFFIXES or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = scrub(data.decode()) if _is_plain(data) else ""
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    if text.lstrip().startswith("<") or not any(map(str.isalnum, text)):  # a page, or nothing to be found
        return None
    return Extraction(text, plain_blocks(text), "text/plain")


def _is_plain(data: bytes) -> bool:
    return (
        len(data) <= MOST_BYTES
        and not _BINARY.search(data)
        and not data.startswith(_MARKED)
        and data[4:8] != b"ftyp"
        and b"mime-version:" not in data.lower()  # a message, whatever it is called
    )

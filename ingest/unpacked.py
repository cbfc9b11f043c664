"""Counting what a packed file unpacks to, before a converter has to hold it."""

import zlib
from io import BytesIO
from zipfile import BadZipFile, ZipFile

from ingest.conversion import damaged
from rag_service.errors import UnreadableDocument

MOST_MEMBERS = 20_000
_STEP = 1024 * 1024


def check_unpacked(data: bytes, name: str, most_mb: int) -> None:
    """Unpack a ZIP archive into nothing, counting the bytes that really come, not those that it declares.

    Pictures and other media do not count: no converter here unpacks them.

    Raises:
        UnreadableDocument: it unpacks to more than `most_mb`, has too many members, or is damaged, which is also
            what one is that unpacks to more than it declares.
    """
    left = most_mb * 1024 * 1024
    try:
        with ZipFile(BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > MOST_MEMBERS:
                raise _too_large(name, f"more than {MOST_MEMBERS:,} parts")
            for item in members:
                if "/media/" in item.filename or item.flag_bits & 1:
                    continue
                with archive.open(item) as member:
                    while step := member.read(_STEP):
                        left -= len(step)
                        if left < 0:
                            raise _too_large(name, f"more than {most_mb} MB")
    except (
        BadZipFile,
        RuntimeError,
        NotImplementedError,
        OSError,
        ValueError,
        EOFError,
        zlib.error,
    ) as error:
        raise damaged(name) from error


def _too_large(name: str, what: str) -> UnreadableDocument:
    return UnreadableDocument(
        f"{name} unpacks to {what}: split it into smaller files, or raise RAG_EXTRACT_TEXT_MB.",
        code="too_much_text",
    )

"""Text on pictures, recognised by the Tesseract that the converter brings along, in the languages of the system."""

import logging
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import kreuzberg

from ingest.decoding import scrub

logger = logging.getLogger(__name__)

_FOLDERS = (
    "/usr/share/tesseract-ocr/*/tessdata",
    "/usr/share/tessdata",
    "/usr/share/tesseract/tessdata",
    "/usr/local/share/tessdata",
    "/opt/homebrew/share/tessdata",
)
_SURE = 85
"""Mean confidence, in percent, above which the first language alone is taken at its word."""
_UNSURE_WORDS = 0.1
_DOUBTFUL = 70
"""Mean confidence, in percent, below which a reader should be told."""
_NOISE = 50
"""Mean confidence, in percent, below which it is no text: a drawing, or a script that none of the languages has."""
_MOST_PAGES = 10_000


@dataclass(frozen=True)
class Recognised:
    """Text as it was recognised, and how sure that is, in percent."""

    text: str = ""
    confidence: float = 0.0

    @property
    def is_doubtful(self) -> bool:
        return bool(self.text) and self.confidence < _DOUBTFUL


@lru_cache(maxsize=1)
def data_folder() -> Path | None:
    """Where Tesseract's language data lies on this machine, if anywhere."""
    given = os.environ.get("TESSDATA_PREFIX")
    folders = [Path(given), Path(given) / "tessdata"] if given else []
    for pattern in _FOLDERS:
        folders += sorted(Path("/").glob(pattern.removeprefix("/")), reverse=True)
    return next((folder for folder in folders if any(folder.glob("*.traineddata"))), None)


@dataclass(frozen=True)
class Languages:
    """Of the languages that are wanted, those that are here and those that are not."""

    present: tuple[str, ...]
    missing: tuple[str, ...]

    @classmethod
    def of(cls, wanted: str) -> "Languages":
        folder = data_folder()
        names = dict.fromkeys(wanted.split("+"))
        here = {name for name in names if folder and (folder / f"{name}.traineddata").is_file()}
        return cls(tuple(n for n in names if n in here), tuple(n for n in names if n not in here))

    @property
    def packages(self) -> str:
        """The Debian packages that bring what is missing."""
        return " and ".join(f"tesseract-ocr-{name.lower().replace('_', '-')}" for name in self.missing)

    def warnings(self) -> list[str]:
        """What somebody should know whose pictures were read without a language that was wanted."""
        if not self.missing or not self.present:
            return []
        return [
            f"Text on pictures was not read as {', '.join(self.missing)}: install Debian's package {self.packages} "
            "where the worker runs, or change RAG_OCR_LANGUAGES."
        ]


def recognise(picture: bytes, media_type: str, languages: Languages) -> Recognised:
    """The text on a picture: in the first language; where that is not sure of it, in the others; at last in all.

    One language too many costs time, and puts its letters where smudges are. A picture that cannot be read has no
    text.
    """
    first, *others = languages.present
    best = Recognised()
    for tried in dict.fromkeys((first, "+".join(others) or first, "+".join(languages.present))):
        found, is_sure = _recognise(picture, media_type, tried)
        best = max(best, found, key=lambda one: one.confidence)
        if is_sure:
            break
    return best if best.confidence >= _NOISE else Recognised()


def _recognise(picture: bytes, media_type: str, language: str) -> tuple[Recognised, bool]:
    os.environ["TESSDATA_PREFIX"] = str(data_folder())
    tesseract = kreuzberg.TesseractConfig(
        language=language, output_format="text", use_cache=False, enable_table_detection=False
    )
    config = kreuzberg.ExtractionConfig(
        use_cache=False,
        output_format="plain",
        ocr=kreuzberg.OcrConfig(backend="tesseract", language=language, tesseract_config=tesseract),
    )
    try:
        result = kreuzberg.extract_bytes_sync(picture, media_type, config=config)
    except (kreuzberg.KreuzbergError, ValueError, OSError, RuntimeError) as error:
        logger.warning("a picture could not be read", extra={"reason": type(error).__name__})
        return Recognised(), True
    said = result.metadata
    words, unsure = int(said.get("word_count") or 0), int(said.get("low_conf_word_count") or 0)
    found = Recognised(scrub(result.content).strip(), float(said.get("mean_text_conf") or 0))
    is_sure = found.confidence >= _SURE and unsure <= _UNSURE_WORDS * words
    return found, is_sure or not found.text


def pages_of(picture: bytes, media_type: str) -> Iterator[bytes]:
    """The pages of a picture, each as a picture of its own; only TIFF has more than one."""
    if media_type != "image/tiff":
        yield picture
        return
    for offset in _directories(picture):
        # The first page is the one that the header points at.
        yield picture[:4] + struct.pack(_order(picture) + "I", offset) + picture[8:]


def _order(tiff: bytes) -> str:
    return "<" if tiff.startswith(b"II") else ">"


def _directories(tiff: bytes) -> list[int]:
    """The offsets of a TIFF's directories, one a page, along the chain that they make."""
    order = _order(tiff)
    found: list[int] = []
    try:
        (offset,) = struct.unpack_from(order + "I", tiff, 4)
        while offset and offset not in found and len(found) < _MOST_PAGES:
            (entries,) = struct.unpack_from(order + "H", tiff, offset)
            found.append(offset)
            (offset,) = struct.unpack_from(order + "I", tiff, offset + 2 + 12 * entries)
    except struct.error:
        pass  # cut short: what was found is read
    return found

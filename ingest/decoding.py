"""From bytes to clean text: finding the encoding, and taking out what no reader can see."""

import re
import unicodedata

from charset_normalizer import from_bytes

from rag_service.errors import UnreadableDocument

_BOMS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_OTHER_FORMATS = (b"%PDF", b"PK\x03\x04", b"{\\rtf")
_MAINFRAME = ["cp037", "cp273", "cp424", "cp500", "cp875", "cp1026", "cp1140"]
_DECLARED = re.compile(rb"(?:charset|encoding)\s*=\s*[\"']?([\w-]+)")
# What no reader sees: control characters, lone surrogates, marks of direction and of width, and the tag letters and
# selectors that hide orders in a text. Joiners stay, which shape letters and emoji; so does the selector of emoji.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ud800-\udfff"
    "\ufe00-\ufe0e\ufeff\uffa0\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
_EMBEDDED_FILE = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,[\w+/=%-]{64,}")


def is_text(data: bytes) -> bool:
    """Whether the bytes are text in some encoding, and not a format that has a reader of its own."""
    if _marked_encoding(data) or _unmarked_utf16(data):
        return True
    return not data.startswith(_OTHER_FORMATS) and not _is_binary(data[:65536])


def _is_binary(sample: bytes) -> bool:
    """Zero bytes, but for a stray one in what otherwise is UTF-8."""
    zeros = sample.count(0)
    if zeros == 0:
        return False
    return zeros > len(sample) / 100 or sample.decode("utf-8", errors="replace").count("\ufffd") > 1


def decode(data: bytes, name: str) -> str:
    """Bytes to text in whatever encoding they are.

    Raises:
        UnreadableDocument: no encoding fits.
    """
    if known := _marked_encoding(data) or _unmarked_utf16(data):
        return data.decode(known, errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        declared = _DECLARED.search(data[:2048])
    if declared:
        try:
            return data.decode(declared.group(1).decode())
        except (UnicodeDecodeError, LookupError):
            pass  # it says what it is not
    return data.decode(_guessed_encoding(data, name), errors="replace")


def scrub(text: str) -> str:
    """Text that a database, a prompt and a reader can take: line ends unified, nothing invisible left."""
    joined = text.replace("\r\n", "\n").replace("\r", "\n")
    # PDFium marks the hyphen of a word broken at a line's end with U+0002: the word is joined again.
    return _EMBEDDED_FILE.sub("data:,", _INVISIBLE.sub("", re.sub("\x02\n?", "", joined)))


def _marked_encoding(data: bytes) -> str | None:
    return next((encoding for bom, encoding in _BOMS if data.startswith(bom)), None)


def _unmarked_utf16(data: bytes) -> str | None:
    """UTF-16 without its mark shows itself where the letters are Latin: every other byte is zero."""
    even, odd = data[0:4096:2], data[1:4096:2]
    for encoding, letters, zeros in (("utf-16-le", even, odd), ("utf-16-be", odd, even)):
        if zeros.count(0) > 0.7 * len(zeros) and min(letters, default=0) >= ord("\t"):
            return encoding
    return None


def _guessed_encoding(data: bytes, name: str) -> str:
    found = from_bytes(data[:200_000], cp_exclusion=_MAINFRAME)
    best = found.best()
    if best is None:
        raise UnreadableDocument(
            f"{name} is in no text encoding that is known here: save it as UTF-8 and upload it again.",
            code="unknown_encoding",
        )
    # Chinese that is read as Korean or Japanese gives a mixture of scripts that nobody writes.
    best = best if not _is_mixture(str(best)) else next((m for m in found if not _is_mixture(str(m))), best)
    # A Western text is as plausible in half a dozen related encodings: it is in the common one.
    plausible = {match.encoding for match in found} | set(best.could_be_from_charset)
    return "cp1252" if "cp1252" in plausible and _is_latin(str(best)) else best.encoding


def _is_mixture(text: str) -> bool:
    """Whether Chinese characters stand between Korean syllables, or letters of half width between others."""
    syllables = sum("\uac00" <= char <= "\ud7a3" for char in text)
    characters = sum("\u4e00" <= char <= "\u9fff" for char in text)
    half_width = sum("\uff61" <= char <= "\uff9f" for char in text)
    return 10 * min(syllables, characters) > syllables + characters or 10 * half_width > len(text)


def _is_latin(text: str) -> bool:
    letters = [char for char in text if char.isalpha() and not char.isascii()]
    return 2 * sum("LATIN" in unicodedata.name(char, "") for char in letters) >= len(letters)

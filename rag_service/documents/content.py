"""What a file is, as far as its first bytes tell: enough to refuse one that is not what it calls itself."""

from pathlib import PurePosixPath

from rag_service.errors import UnreadableDocument

HEAD_BYTES = 1024
"""How many of a file's first bytes are looked at."""

_PROGRAM, _ARCHIVE, _IMAGE, _MEDIA = "a program", "an archive", "a picture", "sound or video"
_PDF, _OFFICE, _PACKED, _DATABASE = "a PDF", "an older Office file", "a packed file (ZIP)", "a database"
_TEXT = "text"

_BEGINS = [
    (b"\x7fELF", _PROGRAM),
    (b"\xcf\xfa\xed\xfe", _PROGRAM),
    (b"\xce\xfa\xed\xfe", _PROGRAM),
    (b"\xca\xfe\xba\xbe", _PROGRAM),
    (b"\x00asm", _PROGRAM),
    (b"%PDF-", _PDF),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OFFICE),
    (b"PK\x03\x04", _PACKED),
    (b"PK\x05\x06", _PACKED),
    (b"\x1f\x8b\x08", _ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", _ARCHIVE),
    (b"Rar!\x1a\x07", _ARCHIVE),
    (b"\xfd7zXZ\x00", _ARCHIVE),
    (b"\x28\xb5\x2f\xfd", _ARCHIVE),
    (b"\x89PNG\r\n\x1a\n", _IMAGE),
    (b"\xff\xd8\xff", _IMAGE),
    (b"GIF87a", _IMAGE),
    (b"GIF89a", _IMAGE),
    (b"II*\x00", _IMAGE),
    (b"MM\x00*", _IMAGE),
    (b"OggS\x00", _MEDIA),
    (b"fLaC\x00", _MEDIA),
    (b"\x1aE\xdf\xa3", _MEDIA),
    (b"SQLite format 3\x00", _DATABASE),
]
# Letters that a text may begin with too: they count where a zero byte follows, which no text has.
_BEGINS_WITH_LETTERS = [(b"MZ", _PROGRAM), (b"BM", _IMAGE), (b"ID3", _MEDIA)]

_SUFFIXES = {
    _TEXT: "txt text md markdown mdx rst org csv tsv json jsonl xml html htm xhtml log yaml yml eml tex srt",
    _PDF: "pdf",
    _OFFICE: "doc dot xls xlt ppt pot pps msg docx docm dotx xlsx xlsm pptx pptm odt ods odp epub",
    _IMAGE: "png jpg jpeg gif bmp tif tiff webp heic ico",
}
_CLAIMS = {suffix: kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}
# An Office file that is encrypted, or of the other generation than its name, is still one: the reader tells.
_AGREES = {_OFFICE: {_OFFICE, _PACKED}}


def check_content(name: str, declared: str | None, head: bytes) -> None:
    """Compare a file's name and declared media type with its first bytes. What these do not tell is left to the
    reader.

    Raises:
        UnreadableDocument: it is a program, or not what it calls itself; the sentence says what was seen.
    """
    seen = kind_of(head)
    if seen is None:
        return
    if seen == _PROGRAM:
        raise UnreadableDocument(
            f"{name} is a program, not a document. No file of this upload was taken in.",
            code="unsupported_type",
        )
    for claim in (_CLAIMS.get(PurePosixPath(name.lower()).suffix.removeprefix(".")), _claimed(declared)):
        if claim is not None and seen not in _AGREES.get(claim, {claim}):
            raise UnreadableDocument(
                f"{name} calls itself {claim}, but its content is {seen}. Give it the name and type of what it "
                "is, or upload the right file. No file of this upload was taken in.",
                code="content_mismatch",
            )


def kind_of(head: bytes) -> str | None:
    """What a file that begins like this is; None for text, and for all that is not known."""
    for begin, kind in _BEGINS:
        if head.startswith(begin):
            return kind
    if b"\x00" in head:
        for begin, kind in _BEGINS_WITH_LETTERS:
            if head.startswith(begin):
                return kind
    if head[:4] == b"RIFF" and head[8:12] in (b"WEBP", b"WAVE", b"AVI "):
        return _IMAGE if head[8:12] == b"WEBP" else _MEDIA
    if head[4:8] == b"ftyp":
        return _IMAGE if head[8:12] in (b"heic", b"avif", b"mif1") else _MEDIA
    return _ARCHIVE if head[257:262] == b"ustar" else None


def _claimed(declared: str | None) -> str | None:
    """What a declared media type says; one that could be anything says nothing."""
    media_type = (declared or "").partition(";")[0].strip().lower()
    if media_type.startswith("text/"):
        return _TEXT
    if media_type.startswith("image/"):
        return _IMAGE
    return _PDF if media_type == "application/pdf" else None

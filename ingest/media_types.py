"""What a file is: its content decides, its name only where two formats hold the same."""

from io import BytesIO
from zipfile import BadZipFile, ZipFile

import kreuzberg

from rag_service.errors import UnreadableDocument

PDF = "application/pdf"
RTF = "application/rtf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
DOC, PPT, XLS = "application/msword", "application/vnd.ms-powerpoint", "application/vnd.ms-excel"
MSG = "application/vnd.ms-outlook"
ODT = "application/vnd.oasis.opendocument.text"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
EPUB = "application/epub+zip"
SPREADSHEETS = {XLSX, XLS, ODS}
PACKED = {DOCX, PPTX, XLSX, ODT, ODS, EPUB}
"""Formats that are a ZIP archive inside."""

ARCHIVE = "application/zip"
_BY_SUFFIX = {
    ".docx": DOCX,
    ".pptx": PPTX,
    ".xlsx": XLSX,
    ".odt": ODT,
    ".ods": ODS,
    ".epub": EPUB,
    ".doc": DOC,
    ".ppt": PPT,
    ".xls": XLS,
    ".msg": MSG,
}
_MAGIC = {
    b"%PDF": PDF,
    b"{\\rtf": RTF,
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
    b"\x00\x00\x00\x0cjP  ": "image/jp2",
    b"\x1f\x8b": "application/gzip",
    b"7z\xbc\xaf'\x1c": "application/x-7z-compressed",
    b"Rar!\x1a\x07": "application/vnd.rar",
    b"\xfd7zXZ\x00": "application/x-xz",
    b"BZh91AY&SY": "application/x-bzip2",
    b"\x7fELF": "application/x-executable",
    b"ID3": "audio/mpeg",
    b"OggS": "audio/ogg",
    b"fLaC": "audio/flac",
}
_ARCHIVES = {
    ARCHIVE,
    "application/gzip",
    "application/x-gzip",
    "application/x-tar",
    "application/x-7z-compressed",
    "application/vnd.rar",
    "application/x-xz",
    "application/x-bzip2",
}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_FOLDERS = {"word/": DOCX, "ppt/": PPTX, "xl/": XLSX}
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_STREAMS = {
    "WordDocument": DOC,
    "PowerPoint Document": PPT,
    "__substg1.0_": MSG,
    "Workbook": XLS,
    "Book": XLS,
}


def by_magic(data: bytes) -> str | None:
    """The type that the first bytes give away, of the formats that are not plain text."""
    for magic, media_type in _MAGIC.items():
        if data.startswith(magic):
            return media_type
    if data.startswith(b"RIFF"):
        return "image/webp" if data[8:12] == b"WEBP" else "audio/x-wav"
    if data[4:8] == b"ftyp":
        return "image/heic" if data[8:12] in (b"heic", b"heix", b"mif1", b"avif", b"heif") else "video/mp4"
    if data.startswith(b"BM") and data[6:10] == bytes(4):
        return "image/bmp"
    return None


def of_binary(data: bytes, suffix: str, name: str) -> str:
    """The type of a file that is not text.

    Raises:
        UnreadableDocument: it is an archive, encrypted, or of no type that is known.
    """
    media_type = by_magic(data)
    if media_type is None and data.startswith(_ZIP):
        media_type = _packed(data, suffix)
    if media_type is None and data.startswith(_OLE):
        media_type = _compound(data, suffix, name)
    media_type = media_type or _BY_SUFFIX.get(suffix) or _detected(data, name)
    if media_type in _ARCHIVES:
        raise UnreadableDocument(
            f"{name} is an archive: unpack it and upload the files that are in it.", code="unsupported_type"
        )
    if media_type.startswith(("audio/", "video/")) or media_type == "application/x-executable":
        raise unsupported(name, media_type)
    return media_type


def unsupported(name: str, seen: str | None = None) -> UnreadableDocument:
    """The error for a file of a type that nothing here reads."""
    what = f" ({seen})" if seen else ""
    return UnreadableDocument(
        f"{name} is of a type{what} that is not supported: convert it to PDF, DOCX, HTML, Markdown or text.",
        code="unsupported_type",
    )


def _packed(data: bytes, suffix: str) -> str:
    try:
        with ZipFile(BytesIO(data)) as archive:
            names = archive.namelist()
            if "mimetype" in names:
                with archive.open("mimetype") as member:
                    return member.read(100).decode("ascii", errors="replace").strip()
    except (BadZipFile, OSError, RuntimeError, NotImplementedError, ValueError, EOFError):
        return _BY_SUFFIX.get(suffix, ARCHIVE)  # cut short or damaged: its converter says so
    return next(
        (kind for folder, kind in _FOLDERS.items() if any(n.startswith(folder) for n in names)), ARCHIVE
    )


def _compound(data: bytes, suffix: str, name: str) -> str | None:
    """Which of the older Office formats it is, by the names of the streams within."""
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise UnreadableDocument(
            f"{name} is protected by a password: remove the protection and upload it again.", code="encrypted"
        )
    found = [kind for stream, kind in _STREAMS.items() if stream.encode("utf-16-le") in data]
    wanted = _BY_SUFFIX.get(suffix)
    return wanted if wanted in found else next(iter(found), None)


def _detected(data: bytes, name: str) -> str:
    try:
        return str(kreuzberg.detect_mime_type_from_bytes(data))
    except (kreuzberg.KreuzbergError, ValueError, OSError, RuntimeError) as error:
        raise unsupported(name) from error

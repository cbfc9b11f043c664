"""A small plain text is read without a process of its own: it must be what that process would have made of it."""

from pathlib import Path

import pytest

from ingest.extract import extract
from ingest.plain import MOST_BYTES, read_plain

PLAIN = {
    "paragraphs": b"First, a line.\r\nIts second.\r\n\r\n   Another paragraph \r\n \t\r\n\r\nand a last one.\n",
    "marked": b"\xef\xbb\xbfWith a mark of its encoding.",
    "hidden": "Vis\u200bible \U000e0041and\u202e not, data:image/png;base64,{} gone.".format(
        "A" * 80
    ).encode(),
    "foreign": "東京の図書館は九時に開く。\n\nনমস্কার".encode(),
    "full": b"word " * (MOST_BYTES // 5),
}
NOT_PLAIN = {
    "page": b"\n <!DOCTYPE html><html><title>T</title><p>Text</p></html>",
    "marked page": b"\xef\xbb\xbf<html><p>Text</p></html>",
    "xml": b"<?xml version='1.0'?><a>Text</a>",
    "mail": b"From: a@example.org\nMime-Version: 1.0\nSubject: S\n\nText",
    "latin": "Über Größe".encode("latin-1"),
    "utf-16": "Text".encode("utf-16"),
    "pdf": b"%PDF-1.7 text",
    "rich": b"{\\rtf1 Text}",
    "zero": b"Te\x00xt",
    "empty": b"",
    "invisible": b" \n\xe2\x80\x8b\n",
    "large": b"word " * (MOST_BYTES // 5 + 1),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_it_is_read_as_the_reader_would(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(PLAIN[kind])
    assert read_plain(path, "Notes.TXT") == extract(path, "Notes.TXT")


@pytest.mark.parametrize("kind", NOT_PLAIN)
def test_all_else_is_left_to_the_reader(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(NOT_PLAIN[kind])
    assert read_plain(path, "notes.txt") is None


def test_so_is_what_another_name_says_and_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    assert read_plain(path, "notes.txt") is None
    path.write_text("# Heading")
    assert read_plain(path, "notes.md") is None

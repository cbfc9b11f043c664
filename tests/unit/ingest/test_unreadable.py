"""Files of which no text can be had: each fails with its code, and a sentence that names it and the way out."""

from io import BytesIO
from zipfile import ZipFile

import pytest

from ingest.word_files import prepared, restored
from rag_service.errors import UnreadableDocument
from tests.unit.ingest import files
from tests.unit.ingest.conftest import Read

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8ffff3f0005fe02fe0d"
    "c3e5440000000049454e44ae426082"
)
OLE = bytes.fromhex("d0cf11e0a1b11ae1")


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("empty.txt", b"", "empty_document"),
        ("empty.docx", b"", "empty_document"),
        ("blank.txt", b" \n\t\r\n ", "empty_document"),
        ("blank16.txt", " \n ".encode("utf-16"), "empty_document"),
        ("invisible.md", "\ufeff\x00\U000e0041".encode(), "empty_document"),
        ("signs.txt", b"--- *** !!!", "no_text"),
        ("picture.png", PNG, "no_text"),
        ("photo", PNG, "no_text"),
        ("blank.pdf", files.pdf(" "), "no_text"),
        ("blank.xlsx", files.workbook({"Sheet": []}), "no_text"),
        ("secret.pdf", files.pdf("Hidden", password="sesame"), "encrypted"),
        ("cut.docx", files.word()[:3_000], "damaged_document"),
        ("cut.xlsx", files.workbook({"A": [["a", "b"]]})[:2_000], "damaged_document"),
        ("cut.pdf", b"%PDF-1.7\nnothing of a PDF follows", "damaged_document"),
        ("words.docx", files.workbook({"A": [["a", "b"]]}), "damaged_document"),
        ("old.doc", OLE + bytes(600), "damaged_document"),
        ("program", b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 8, "unsupported_type"),
        ("noise.bin", bytes(range(256)) * 16, "unsupported_type"),
        ("files.zip", b"PK\x03\x04" + bytes(26), "unsupported_type"),
    ],
)
def test_a_file_without_text_fails_with_its_code_and_its_name(
    read: Read, name: str, data: bytes, code: str
) -> None:
    with pytest.raises(UnreadableDocument) as failed:
        read(name, data)
    assert failed.value.code == code
    assert failed.value.detail.startswith(f"{name} ")
    assert failed.value.detail.endswith(".")


def test_an_archive_is_told_to_be_unpacked(read: Read) -> None:
    packed = BytesIO()
    with ZipFile(packed, "w") as archive:
        archive.writestr("../../escape.md", "# Out")
    with pytest.raises(UnreadableDocument, match="unpack it"):
        read("notes.zip", packed.getvalue())


def test_a_word_file_s_preparation_leaves_other_files_alone() -> None:
    for data in (b"", b"PK\x03\x04 nothing", files.pdf("x"), b"\x00" * 100):
        assert prepared(data) == data
    assert restored("plain \ue000 text") == "plain \ue000 text"

"""Files of which no text can be had: each fails with its code, and a sentence that names it and the way out."""

from io import BytesIO
from zipfile import ZipFile

import pytest

from ingest.limits import Limits
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
        ("picture.txt", PNG, "no_text"),
        ("picture.md", PNG[:8], "no_text"),
        ("song.txt", b"ID3\x04 not a text", "unsupported_type"),
        (
            "secret.eml",
            "MIME-Version: 1.0\nContent-Type: multipart/encrypted; boundary=x\n\n--x--",
            "encrypted",
        ),
        ("deep.json", "[" * 100_000 + "]" * 100_000, "too_much_text"),
        ("old.doc", OLE + bytes(600), "damaged_document"),
        ("program", b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 8, "unsupported_type"),
        ("noise.bin", bytes(range(256)) * 16, "unsupported_type"),
        ("files.zip", b"PK\x03\x04" + bytes(26), "unsupported_type"),
    ],
)
def test_a_file_without_text_fails_with_its_code_and_its_name(
    read: Read, name: str, data: bytes | str, code: str
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


def test_the_content_of_a_file_decides_and_not_its_name(read: Read) -> None:
    workbook = files.workbook({"Prices": [["Item", "Price"], ["Lens", 12]]})
    for name in ("words.docx", "old.xls", "page.html", "no name"):
        assert read(name, workbook).text == "## Prices\n\n| Item | Price |\n| --- | --- |\n| Lens | 12 |"
    assert read("letter.doc", files.word()).title == "Returns"
    assert read("report.txt", files.pdf("Title\nA sentence of the report.")).pages == 1


def test_what_a_file_unpacks_to_is_counted_not_believed(read: Read) -> None:
    bomb = files.word_of(f"<w:t>{'a ' * 3_000_000}</w:t>")
    assert len(bomb) < 20_000
    with pytest.raises(UnreadableDocument, match="unpacks to more than 4 MB") as failed:
        read("bomb.docx", bomb, Limits(text_mb=2))
    assert failed.value.code == "too_much_text"
    # The same, with a directory that declares a thousand bytes.
    at = bomb.rfind(b"PK\x01\x02") + 24
    liar = bomb[:at] + (1_000).to_bytes(4, "little") + bomb[at + 4 :]
    with pytest.raises(UnreadableDocument, match="damaged"):
        read("liar.docx", liar, Limits(text_mb=2))


def test_entities_are_not_expanded_and_nothing_is_fetched_for_them(read: Read) -> None:
    bomb = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 20}">' for n in range(1, 9))
    head = (
        f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd"><!ENTITY a0 "lol">{bomb}]>'
    )
    found = read("entity.docx", files.word_of("<w:t>before &a8; &f; behind</w:t>", head))
    assert found.text.strip() == "before &a8; &f; behind"


@pytest.mark.parametrize("tag", ["<title ", "<meta ", "<!--", "<div>"])
def test_a_page_of_nothing_but_beginnings_is_soon_done_with(read: Read, tag: str) -> None:
    with pytest.raises(UnreadableDocument):
        read("page.html", "<html>" + tag * 50_000)


def test_a_pdf_whose_pages_go_round_in_a_circle_ends(read: Read) -> None:
    tree = b"<</Type/Pages/Count 9/Kids[2 0 R 2 0 R]>>"
    loop = (
        b"%%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj%sendobj trailer<</Root 1 0 R>>" % tree
    )
    with pytest.raises(UnreadableDocument):
        read("loop.pdf", loop)

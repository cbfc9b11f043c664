"""Text on pictures: recognised where language data is installed, and a visible failure where it is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest import limits as limits_module
from ingest import ocr
from ingest.limits import Limits
from rag_service.errors import UnreadableDocument
from tests.unit.ingest import files
from tests.unit.ingest.conftest import Read

LINE = "The canteen closes at ten past two"
PARAGRAPH = "This page holds its text as text, and so nothing has to be recognised on it. " * 3
BANGLA = Path(__file__).parent / "pictures" / "bangla.png"


@pytest.fixture
def no_tesseract(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A machine without language data."""
    monkeypatch.delenv("TESSDATA_PREFIX", raising=False)
    monkeypatch.setattr(ocr, "_FOLDERS", (str(tmp_path / "nothing"),))
    ocr.data_folder.cache_clear()
    yield
    ocr.data_folder.cache_clear()


@pytest.mark.parametrize(
    ("kind", "name"), [("PNG", "a.png"), ("JPEG", "a.txt"), ("WEBP", "photo"), ("BMP", "a.bmp")]
)
def test_text_on_a_picture_is_read_whatever_the_file_is_called(read: Read, kind: str, name: str) -> None:
    found = read(name, files.picture(LINE, kind=kind))
    assert LINE in found.text
    assert (found.pages, list(found.warnings)) == (1, [])
    assert found.media_type == f"image/{kind.lower()}"


def test_a_tiff_has_pages(read: Read) -> None:
    found = read("scan.tif", files.picture(LINE, kind="TIFF", more=["A second page", "And a third one"]))
    assert [(block.page, found.text[block.start : block.end]) for block in found.blocks] == [
        (1, LINE),
        (2, "A second page"),
        (3, "And a third one"),
    ]


def test_bangla_is_recognised_beside_english(read: Read) -> None:
    found = read("notice.png", BANGLA.read_bytes())
    assert "গ্রন্থাগার সকাল নয়টায় খোলে" in found.text
    assert LINE in read("notice.png", files.picture(LINE)).text


def test_of_a_pdf_only_the_scanned_pages_are_recognised(read: Read) -> None:
    data = files.scanned_pdf(
        PARAGRAPH, files.picture(LINE, "and opens again at half past five"), "", PARAGRAPH
    )
    found = read("mixed.pdf", data)
    by_page: dict[int | None, str] = {}
    for block in found.blocks:
        by_page[block.page] = by_page.get(block.page, "") + found.text[block.start : block.end]
    assert set(by_page) == {1, 2, 4}
    assert LINE in by_page[2]
    assert by_page[1].split() == PARAGRAPH.split()
    assert found.pages == 4
    assert list(found.warnings) == ["No text on page 3: nothing was recognised on it either."]


def test_without_language_data_a_picture_fails_and_says_what_to_install(
    read: Read, no_tesseract: None
) -> None:
    for name, data in [("a.png", files.picture(LINE)), ("a.pdf", files.scanned_pdf(files.picture(LINE)))]:
        with pytest.raises(UnreadableDocument, match=r"tesseract-ocr.*tesseract-ocr-ben") as failed:
            read(name, data)
        assert failed.value.code == "no_text"
        assert failed.value.detail.startswith(f"{name} holds no text. ")


def test_without_language_data_a_mixed_pdf_is_read_with_a_warning(read: Read, no_tesseract: None) -> None:
    found = read("mixed.pdf", files.scanned_pdf(PARAGRAPH, files.picture(LINE)))
    (warning,) = found.warnings
    assert warning.startswith("No text on page 2: if it shows text, it is a picture of it.")
    assert "tesseract-ocr" in warning


def test_a_language_that_is_missing_is_told_with_its_package(read: Read) -> None:
    found = read("a.png", files.picture(LINE), Limits(ocr_languages="eng+xyz_old"))
    assert LINE in found.text
    (warning,) = found.warnings
    assert "tesseract-ocr-xyz-old" in warning
    assert "RAG_OCR_LANGUAGES" in warning


def test_pages_for_which_there_was_no_time_are_named(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "SHARE_FOR_PICTURES", 0.0)
    found = read("mixed.pdf", files.scanned_pdf(PARAGRAPH, files.picture(LINE)))
    (warning,) = found.warnings
    assert warning.startswith("Page 2 was not read: ")


def test_a_drawing_is_no_text(read: Read) -> None:
    with pytest.raises(UnreadableDocument, match="not recognised in eng, ben") as failed:
        read("drawing.png", files.picture(""))
    assert failed.value.code == "no_text"


def test_a_picture_larger_than_any_memory_is_refused(read: Read) -> None:
    with pytest.raises(UnreadableDocument):
        read("bomb.png", files.blank_picture(30_000))

"""Word files made ready for the converter, which drops tabs (so that words are glued), `&`, `<` and `>`, the marks of
lists that a style makes, charts, and all of a paragraph in which a text box is anchored."""

import html
import re
import zlib
from copy import copy
from io import BytesIO
from zipfile import BadZipFile, ZipFile

from ingest.word_charts import charts_of, with_charts
from ingest.word_lists import declared, list_styles

_MOST_BYTES = 512 * 1024 * 1024
_TAB = re.compile(r"<w:(?:tab|ptab)(?: w:(?:alignment|relativeTo|leader)=\"\w*\")*\s*/>")
_HYPHEN = re.compile(r"<w:noBreakHyphen\s*/>")
_FALLBACK = re.compile(r"<mc:Fallback\b.*?</mc:Fallback>", re.DOTALL)
_SHAPE = re.compile(r"<w:(drawing|pict)\b(?:(?!<w:\1\b).)*?</w:\1>", re.DOTALL)
_SHAPE_TEXT = re.compile(r"<w:t(?: [^>]*)?>[^<]*</w:t>|</w:p>")
_LEFT_OUT = re.compile(
    r"<w:trPr>(?:(?!</w:trPr>).)*?<w:gridBefore w:val=\"(\d{1,2})\"\s*/>.*?</w:trPr>", re.DOTALL
)
"""Of a row, cells before its first: its values would stand below the headers of their neighbours."""
_REFERENCES = re.compile(r">[^<>&]*&[^<>]*<")
# Two code points that stand for no character, and so for `&` and `<` while they are on their way.
_SENT = str.maketrans("&<", "\ufdd0\ufdd1")
_RECEIVED = str.maketrans("\ufdd0\ufdd1", "&<")


def prepared(data: bytes) -> bytes:
    """The file, without its pictures, in a form of which nothing is dropped; `restored` is for what comes of it.

    What cannot be read as a Word file comes back as it is: the converter says what is wrong with it.
    """
    ready = BytesIO()
    try:
        with ZipFile(BytesIO(data)) as old, ZipFile(ready, "w") as new:
            members = [item for item in old.infolist() if not item.filename.startswith("word/media/")]
            if sum(item.file_size for item in members) > _MOST_BYTES:
                return data
            styles = "word/styles.xml"
            lists = list_styles(old.read(styles).decode()) if styles in old.namelist() else {}
            for item in members:
                content = old.read(item)
                if item.filename.startswith("word/") and item.filename.endswith(".xml"):
                    shown = with_charts(content.decode(), charts_of(old, item.filename))
                    content = _rewritten(declared(shown, lists)).encode()
                new.writestr(copy(item), content)  # the writer changes what it is given
    except (BadZipFile, KeyError, RuntimeError, OSError, ValueError, EOFError, zlib.error):
        return data
    return ready.getvalue()


def restored(text: str) -> str:
    """Text that came of a prepared file, as it stood in the file; no character changes its place."""
    return text.translate(_RECEIVED)


def _rewritten(xml: str) -> str:
    # A tab stop, `<w:tab w:val=… w:pos=…/>`, has other attributes than a tab: it stays.
    spaced = _TAB.sub('<w:t xml:space="preserve"> </w:t>', xml)
    flat = _SHAPE.sub(_shape_text, _FALLBACK.sub("", spaced)) if "txbxContent" in spaced else spaced
    square = _LEFT_OUT.sub(lambda row: row[0] + "<w:tc><w:p/></w:tc>" * int(row[1]), flat)
    whole = _HYPHEN.sub("<w:t>-</w:t>", square)
    return _REFERENCES.sub(lambda found: f">{html.unescape(found[0][1:-1]).translate(_SENT)}<", whole)


def _shape_text(shape: re.Match[str]) -> str:
    """What a text box says, where it is anchored: as a paragraph within a paragraph it costs the outer one its text."""
    if "txbxContent" not in shape[0]:
        return shape[0]
    space = '<w:t xml:space="preserve"> </w:t>'
    return space + "".join(space if part.startswith("</") else part for part in _SHAPE_TEXT.findall(shape[0]))

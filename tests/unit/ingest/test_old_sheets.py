"""Workbooks of the old binary kind (XLS): what a formula gave when the file was saved is what is shown."""

from struct import pack

from tests.unit.ingest.conftest import Read

FREE, END, TABLE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
SECTOR = 512
ONE = pack("<BH", 0x1E, 1)
"""The formula `=1`: what it would give is not what is stored, so that it shows which of them is read."""


def record(kind: int, content: bytes = b"") -> bytes:
    return pack("<HH", kind, len(content)) + content


def words(text: str) -> bytes:
    return pack("<HB", len(text), 1) + text.encode("utf-16-le")


def label(row: int, column: int, text: str) -> bytes:
    return record(0x204, pack("<HHH", row, column, 0) + words(text))


def formula(row: int, column: int, shown: float | str | bool | None, *, shared: bool = False) -> bytes:
    """A cell with a formula, and what it gave; `shared` puts the formula for several cells behind it."""
    if isinstance(shown, bool):
        stored = pack("<HBxxxH", 1, shown, 0xFFFF)
    elif isinstance(shown, float):
        stored = pack("<d", shown)
    else:
        stored = pack("<HxxxxH", 3 if shown is None else 0, 0xFFFF)
    cell = record(6, pack("<HHH", row, column, 0) + stored + pack("<HIH", 0, 0, len(ONE)) + ONE)
    if shared:
        cell += record(0x4BC, pack("<HHBBHH", row, row, column, column, 1, len(ONE)) + ONE)
    return cell + record(0x207, words(shown)) if isinstance(shown, str) else cell


def workbook(*cells: bytes) -> bytes:
    """A workbook of one sheet, in the container that old Office files have."""

    def begin(kind: int) -> bytes:
        return record(0x809, pack("<HHHHII", 0x600, kind, 0, 0, 0, 6))

    def head(sheet_at: int) -> bytes:
        sheet = record(0x85, pack("<IH", sheet_at, 0) + pack("<BB", 5, 0) + b"Sheet")
        return begin(5) + record(0x42, pack("<H", 1200)) + record(0xE0, bytes(20)) + sheet + record(0xA)

    size = record(0x200, pack("<IIHHH", 0, 9, 0, 9, 0))
    return container("Workbook", head(len(head(0))) + begin(16) + size + b"".join(cells) + record(0xA))


def container(name: str, content: bytes) -> bytes:
    """A compound file with one stream: a header, the table of sectors, the folder, the stream."""
    sectors = max(8, -(-len(content) // SECTOR))
    chain = [TABLE, END, *range(3, sectors + 2), END]
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    head += pack("<9I", 0, 1, 1, 0, 4096, END, 0, END, 0) + pack("<109I", 0, *[FREE] * 108)

    def entry(said: str, kind: int, child: int, start: int, size: int) -> bytes:
        spelt = (said + "\0").encode("utf-16-le")
        named = spelt.ljust(64, b"\0") + pack("<HBB", len(spelt), kind, 1)
        return named + pack("<III36xIQ", FREE, FREE, child, start, size)

    folder = entry("Root Entry", 5, 1, END, 0) + entry(name, 2, FREE, 2, sectors * SECTOR)
    table = pack("<128I", *chain, *[FREE] * (128 - len(chain)))
    return head + table + folder.ljust(SECTOR, b"\0") + content.ljust(sectors * SECTOR, b"\0")


def test_a_formula_s_value_is_in_its_cell(read: Read) -> None:
    names = [label(0, column, name) for column, name in enumerate(["Item", "Number", "Text", "Flag"])]
    found = read(
        "old.xls",
        workbook(
            *names,
            *(
                label(1, 0, "a"),
                formula(1, 1, 12.5),
                formula(1, 2, "shown", shared=True),
                formula(1, 3, True),
            ),
            *(label(2, 0, "b"), formula(2, 1, 7.0, shared=True), formula(2, 2, "plain"), formula(2, 3, None)),
        ),
    )
    assert found.text == (
        "## Sheet\n\n| Item | Number | Text | Flag |\n| --- | --- | --- | --- |\n| a | 12.5 | shown | true |\n"
        "| b | 7 | plain | |"
    )

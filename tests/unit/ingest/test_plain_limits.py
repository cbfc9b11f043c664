"""Whatever a small plain text is made of, the worker that reads it by itself neither hangs nor grows."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.chunking import chunk
from ingest.plain import MOST_BYTES, read_plain
from tests.unit.ingest import support

SIGNS = " \n\t\r.-*#|>[]()`'\"1aA,;:!?_&<。」é\u0301\u200d\u0e01\ufe0f"


def made_of(piece: str, *, begin: str = "a", end: str = "b") -> str:
    """`piece` again and again, as often as a small text holds it."""
    room = MOST_BYTES - len((begin + end).encode())
    return begin + piece * (room // len(piece.encode())) + end


def _traps() -> dict[str, str]:
    texts = {
        "one word": made_of("a"),
        "one line": made_of("word "),
        "combining marks": made_of("\u0301"),
        "stacks of marks": made_of("e" + "\u0301\u0302\u0303\u0316" * 20 + " "),
        "joined emoji": made_of("👩\u200d"),
        "invisible": made_of("\u200b\u2060"),
        "nested lists": "\n".join(" " * depth + "- a" for depth in range(350)),
        "nested lists on a line": made_of("- ", begin=""),
        "nested quotes": made_of("> ", begin=""),
        "numbers of a list": made_of("1. ", begin=""),
        "letters of a list": made_of("\na) "),
        "table": made_of("|a|\n", begin=""),
        "blank lines": made_of("\n"),
        "blank lines with spaces": made_of("\n \t"),
        "line ends": made_of("\r"),
        "spaces": made_of(" "),
        "a line end and spaces": made_of(" ", begin="a\n"),
        "data addresses": made_of("data:"),
        "a data address without end": made_of("a/", begin="data:"),
        "data addresses that are short": made_of("data:a/b;base64,AAAA"),
        "stops": made_of("."),
        "stops and spaces": made_of(". "),
        "stops and marks": made_of(".[1]"),
        "a mark without end": made_of("1, ", begin="a.["),
        "quotes behind a stop": made_of('"', begin="a."),
        "abbreviations": made_of("e.g. "),
        "stops of Chinese": made_of("。」"),
        "Thai": made_of("ก"),
    }
    for seed in range(8):
        chosen = random.Random(seed)
        alphabet = chosen.sample(SIGNS, chosen.randint(2, len(SIGNS)))
        text = "a" + "".join(chosen.choices(alphabet, k=MOST_BYTES // 3 - 1))
        texts[f"chance {seed}"] = text
    return texts


TRAPS = _traps()
FUSE = """
import resource, sys
from pathlib import Path
from ingest.plain import read_plain
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
resource.setrlimit(resource.RLIMIT_DATA, (256 << 20, 256 << 20))
print(sum(read_plain(path, "a.txt") is not None for path in Path(sys.argv[1]).iterdir()))
"""


@pytest.mark.parametrize("kind", TRAPS)
def test_what_comes_of_it_is_no_larger_and_can_be_cut(kind: str, tmp_path: Path) -> None:
    data = TRAPS[kind].encode()
    assert len(data) <= MOST_BYTES
    (path := tmp_path / "blob").write_bytes(data)
    found = read_plain(path, "a.txt")
    assert found is not None and len(found.text.encode()) <= len(data)
    ends = [0, *(place for block in found.blocks for place in (block.start, block.end))]
    assert ends == sorted(ends) and ends[-1] <= len(found.text)
    left_out = "".join(found.text[end:start] for end, start in zip(ends[::2], ends[1::2], strict=False))
    assert not left_out.strip()
    chunks = chunk(found, support.word_piece_spans(), limit=220)
    assert len(chunks) <= len(found.text) and all(0 < item.tokens <= 220 for item in chunks)


def test_all_of_them_together_are_read_in_a_minute_of_the_processor_and_little_memory(tmp_path: Path) -> None:
    """A fuse, not a measure: they take some hundredths of a second, and a trap that snaps takes for ever."""
    for number, text in enumerate(TRAPS.values()):
        (tmp_path / str(number)).write_bytes(text.encode())
    ended = subprocess.run([sys.executable, "-c", FUSE, str(tmp_path)], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout.split()) == (0, [str(len(TRAPS)).encode()]), ended.stderr

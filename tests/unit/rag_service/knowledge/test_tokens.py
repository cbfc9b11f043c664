"""Counting tokens: with tiktoken where its vocabulary is at hand, and never by waiting for a network."""

import base64
import hashlib
import logging
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from tiktoken.load import load_tiktoken_bpe

from rag_service.knowledge import tokens
from rag_service.knowledge.tokens import (
    cut_to_tokens,
    estimate_tokens,
    load_token_counter,
    word_piece_spans,
)
from rag_service.testing.model_server import ModelServer

COUNTED = [
    # What cl100k_base makes of a text; of the vocabularies in use it is the one that needs most tokens.
    ("English", "A job's lease runs out when its worker dies, and another worker takes the job over.", 19),
    ("CAPITALS", "THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG", 14),
    ("camelCase", "getHTTPResponseCodeFromServerXMLParser", 8),
    ("code", "def f(x):\n    if x > 1:\n        return [y ** 2 for y in range(x)]\n", 24),
    ("JSON", '{"a": [1, 2, 3], "bb": {"c": null}}\n' * 5, 100),
    ("short lines", "a\nb\n" * 20, 80),
    ("blank lines", "\n \t\n  " * 10, 21),
    (
        "base64",
        "VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZy4gMTIzNDU2Nzg5MCE9PS9hYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5eg",
        83,
    ),
    ("hex", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" * 2, 85),
    ("UUID", "0190a5b2-7c3d-7e4f-8a9b-0c1d2e3f4a5b", 34),
    ("numbers", "3.14159265358979 1000000 12345678", 15),
    ("Bangla", "কর্মীরা বছরে পঁচিশ দিন সবেতন ছুটি পান, এবং আবেদন আগে করতে হয়।", 80),
    ("Hindi", "कर्मचारियों को वर्ष में पच्चीस दिन की छुट्टी मिलती है।", 53),
    ("Arabic", "إجازة الموظفين خمسة وعشرون يوما في السنة.", 30),
    ("Hebrew", "העובדים זכאים לעשרים וחמישה ימי חופשה בשנה.", 42),
    ("Chinese", "员工每年有二十五天带薪假期，应当提前申请。", 26),
    ("Japanese", "休暇は二十五日です。申請は事前に行ってください。", 24),
    ("Korean", "휴가는 이십오일입니다. 미리 신청해야 합니다.", 25),
    ("Thai", "พนักงานมีสิทธิลาพักร้อนยี่สิบห้าวันต่อปี", 36),
    ("Russian", "Сотрудникам полагается двадцать пять дней отпуска.", 23),
    ("Greek", "Οι εργαζόμενοι δικαιούνται άδεια είκοσι πέντε ημερών.", 51),
    ("Vietnamese", "Nhân viên được nghỉ phép hai mươi lăm ngày mỗi năm.", 23),
    ("Polish", "Pracownikom przysługuje dwadzieścia pięć dni urlopu. Żółć, źdźbło.", 34),
    ("Burmese", "ဝန်ထမ်းများသည် တစ်နှစ်လျှင် နှစ်ဆယ့်ငါးရက် ခွင့်ရှိသည်။", 108),
    ("Georgian", "თანამშრომლებს ეკუთვნით ოცდახუთი დღე შვებულება.", 86),
    ("Amharic", "ሰራተኞች በዓመት ሃያ አምስት ቀናት እረፍት አላቸው።", 80),
    ("Khmer", "បុគ្គលិកមានសិទ្ធិឈប់សម្រាក", 42),
    ("Tamil", "ஊழியர்களுக்கு ஆண்டுக்கு இருபத்தைந்து நாட்கள் விடுமுறை.", 72),
    ("Telugu", "ఉద్యోగులకు సంవత్సరానికి ఇరవై ఐదు రోజుల సెలవు.", 79),
    ("Cherokee", "ᎠᏂᏴᏫᏯᎢ ᎦᏬᏂᎯᏍᏗ", 36),
    (
        "emoji",
        "\U0001f600\U0001f389\U0001f469\u200d\U0001f469\u200d\U0001f467\U0001f3f3\ufe0f\u200d\U0001f308\U0001f9ff\U0001fae0",
        33,
    ),
    ("combining marks", "e\u0301\u0323a\u0300", 6),
    ("control characters", "a\x01\x02b", 4),
    ("box drawing", "┌──┬──┐│░▒▓█▄▀■□▪", 24),
    ("rare Han", "\U00020000\U00020001\U00020002\U00020003", 12),
]


@pytest.mark.parametrize(("text", "count"), [row[1:] for row in COUNTED], ids=[row[0] for row in COUNTED])
def test_the_estimate_is_never_below_a_real_count(text: str, count: int) -> None:
    assert count <= estimate_tokens(text)


@pytest.mark.parametrize(
    ("text", "count"), [row[1:] for row in COUNTED if row[0] in ("English", "Bangla", "Chinese", "Korean")]
)
def test_the_estimate_is_not_wildly_above_a_real_count(text: str, count: int) -> None:
    assert estimate_tokens(text) <= 2 * count


def test_more_text_is_never_fewer_tokens() -> None:
    assert estimate_tokens("") == 0
    text, before = "", 0
    for name, more, _ in COUNTED:
        text += f" {name} {more}"
        after = estimate_tokens(text)
        assert after > before
        before = after


@pytest.mark.parametrize("limit", [1, 7, 50, 10_000])
def test_a_text_is_cut_to_a_limit_and_no_more_than_needed(limit: int) -> None:
    for _, text, _ in COUNTED:
        cut = cut_to_tokens(text * 3, limit)
        assert (text * 3).startswith(cut)
        assert estimate_tokens(cut) <= limit or len(cut.encode()) <= limit
        assert cut == text * 3 or len(cut) >= min(len(text), limit) // 8


def test_spans_of_word_pieces_hold_known_words_whole_and_cut_unknown_ones() -> None:
    [spans] = word_piece_spans(["Information about " + "x" * 102 + " ᎠᏂᏴᏫᏯᎢ"])
    assert spans[:2] == [(0, 11), (12, 17)]
    assert spans[2] == (18, 22) and spans[27] == (118, 120)
    assert spans[28:] == [(121, 125), (125, 127)]
    assert word_piece_spans([]) == []


Use = Callable[..., None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Use:
    """Points tiktoken at a vocabulary at a URL, with nothing fetched before."""

    def point(url: str, *, sha256: str | None = None) -> None:
        def encoding() -> dict[str, Any]:
            ranks = load_tiktoken_bpe(url, expected_hash=sha256)
            return {"name": "tiny", "pat_str": r"\S+|\s+", "mergeable_ranks": ranks, "special_tokens": {}}

        monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
        monkeypatch.setattr(tiktoken.registry, "ENCODING_CONSTRUCTORS", {"o200k_base": encoding})

    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "vocabularies"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return point


@pytest.fixture
def closed_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/tiny.tiktoken"


@pytest.fixture
def silent_url() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/tiny.tiktoken"


def warnings(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == tokens.__name__]


def test_a_vocabulary_in_the_cache_folder_is_used_without_a_network(
    use: Use, closed_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    use(closed_url)
    folder = tmp_path / "vocabularies"
    folder.mkdir()
    vocabulary = [bytes([byte]) for byte in range(256)] + [b"le", b"leave"]
    lines = [f"{base64.b64encode(token).decode()} {rank}" for rank, token in enumerate(vocabulary)]
    (folder / hashlib.sha1(closed_url.encode()).hexdigest()).write_text("\n".join(lines))  # noqa: S324
    for model in ("gpt-4o", "a-model-tiktoken-does-not-know"):
        counter = load_token_counter(model)
        assert counter.exact
        assert counter.count("le leave <|endoftext|>") == 1 + 1 + 1 + 1 + 13
    assert not warnings(caplog)


def test_without_a_network_tokens_are_estimated_and_that_is_said_once(
    use: Use, closed_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    use(closed_url)
    counters = [load_token_counter("model-without-network") for _ in range(3)]
    assert not any(counter.exact for counter in counters)
    assert counters[0].count("leave") == estimate_tokens("leave")
    [warning] = warnings(caplog)
    assert "TIKTOKEN_CACHE_DIR" in warning.getMessage()
    assert vars(warning)["model"] == "model-without-network"


def test_a_network_that_says_nothing_is_not_waited_for(
    use: Use, silent_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use(silent_url)
    monkeypatch.setattr(tokens, "FETCH_SECONDS", 0.2)
    started = time.monotonic()
    assert not load_token_counter("model-on-a-silent-network").exact
    assert time.monotonic() - started < 2
    [warning] = warnings(caplog)
    assert vars(warning)["reason"] == "timeout"


def test_a_page_in_the_place_of_a_vocabulary_is_no_vocabulary(
    use: Use, model_server: ModelServer, caplog: pytest.LogCaptureFixture
) -> None:
    use(f"{model_server.base_url}/models", sha256="0" * 64)
    assert not load_token_counter("model-behind-a-portal").exact
    [warning] = warnings(caplog)
    assert vars(warning)["reason"] == "ValueError"


def test_a_text_of_a_million_characters_is_counted_by_slices_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    text = ("The moon is basalt, as the handbook says. " * 700 + "কর্মীরা বছরে ২৫ দিন ছুটি পান। " * 900) * 20
    counted = estimate_tokens(text)
    monkeypatch.setattr(tokens, "SLICES", 1000)
    assert counted == pytest.approx(estimate_tokens(text), rel=0.25)

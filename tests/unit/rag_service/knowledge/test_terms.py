"""What counts as the same term, and what a text is found by."""

import pytest

from rag_service.knowledge.terms import LONGEST, analysis_of, terms


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("running", "runs"),
        ("Café", "cafe"),
        ("ﬁle", "file"),
        ("ＡＢＣ１２", "abc12"),
        ("Straße", "STRASSE"),
        ("১২", "12"),
        ("٤٠١٢", "4012"),
        ("সম\u09df", "সম\u09af\u09bc"),
        ("ভবিষ্যত্\u200d", "ভবিষ্যৎ"),
        ("ক্\u200dষ", "ক্ষ"),
        ("বাংলাদেশের", "বাংলাদেশ"),
        ("বইগুলোকে", "বইগুলো"),
        ("ছাত্রদের", "ছাত্ররা"),
        ("कि\u200dताब", "किताब"),
        ("می\u200cخواهم", "میخواهم"),
        ("علی", "علي"),
        ("кошки", "кошка"),
    ],
)
def test_are_the_same(one: str, other: str) -> None:
    assert terms(one) == terms(other) != []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ERR-4012", ["err-4012", "err", "4012"]),
        ("v2.3.1.", ["v2.3.1", "v2", "3", "1"]),
        ("§ 12(3)", ["12(3)", "12", "3"]),
        ("1,20,000", ["120000", "1", "20", "000"]),
        ("RAG_STATE_DIR", ["rag_state_dir", "rag", "state", "dir"]),
        ("a@b.example", ["a@b.example", "a", "b", "exampl"]),
        ("C++, C#", ["c++", "c#", "c", "c"]),
        ("and/or", ["and", "or"]),
    ],
)
def test_a_name_is_found_whole_and_in_parts(text: str, found: list[str]) -> None:
    assert terms(text) == found


def test_scripts_without_spaces_give_pairs_and_chinese_characters_alone_too() -> None:
    assert terms("黑猫咪") == ["黑", "猫", "咪", "黑猫", "猫咪"]
    assert terms("สวัส") == ["สว", "วั", "ัส"]
    assert terms("猫") == ["猫"]


def test_vowel_signs_belong_to_their_words() -> None:
    assert terms("हिन्दी") == terms("हिन्दी।")
    assert len(terms("কেন্দ্রীয় ব্যাংক")) == 2


def test_the_language_decides_how_words_of_its_script_are_stemmed() -> None:
    assert terms("Häuser", "de-AT") == terms("Haus", "de")
    assert terms("IŞIK", "tr") == terms("ışık", "tr")
    assert terms("má", "vi") != terms("ma", "vi")
    assert terms("running", "bn") == terms("runs")
    assert analysis_of("de-AT") == analysis_of("de_DE") != analysis_of(None) == analysis_of("x/../y")


@pytest.mark.parametrize("text", ["a" * 200_000, "a(" * 50_000, "1," * 50_000, "_" * 50_000, "আ" * 50_000])
def test_any_text_gives_terms_that_an_index_can_hold(text: str) -> None:
    assert all(0 < len(term) <= LONGEST for term in terms(text))


def test_no_term_holds_white_space() -> None:
    everything = "".join(chr(code) for code in range(0x20000) if not 0xD800 <= code < 0xE000)
    assert not [term for term in terms(everything) if term.split() != [term]]

"""Cutting text into words, so that the same word is the same in a question and in a document."""

import unicodedata

import pytest

from rag_service.knowledge.sentences import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Leave: 25 days, isn't it?", ["leave", "25", "days", "isn", "t", "it"]),
        ("STRASSE Ünïcödé ΑΒΓ", ["strasse", "ünïcödé", "αβγ"]),
        ("snake_case v2.3.1", ["snake", "case", "v2", "3", "1"]),
        ("", []),
        ("… — !", []),
        ("কর্মীরা বছরে ২৫ দিন ছুটি পান।", ["কর্মীরা", "বছরে", "২৫", "দিন", "ছুটি", "পান"]),
        ("कर्मचारियों को छुट्टी", ["कर्मचारियों", "को", "छुट्टी"]),
        ("إجازةُ الموظفين", ["إجازةُ", "الموظفين"]),
        ("二十五天", ["二十", "十五", "五天"]),
        ("天", ["天"]),
        ("サーバー", ["サー", "ーバ", "バー"]),
        ("ใหญ่", ["ให", "หญ", "ญ่"]),
        ("iPhone手机第25条", ["iphone", "手机", "机第", "25", "条"]),
        ("휴가는 이십오일", ["휴가는", "이십오일"]),
    ],
)
def test_words_are_lower_cased_with_their_marks_and_paired_where_a_script_has_no_spaces(
    text: str, expected: list[str]
) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ড়", unicodedata.normalize("NFD", "ড়")),
        ("পড়া", "পড়া"),
        ("café", "cafe\u0301"),
        ("office file", "oﬃce ﬁle"),
        ("ABC 123", "ＡＢＣ １２３"),
        ("ガイド", "ｶﾞｲﾄﾞ"),
    ],
)
def test_letters_written_in_different_ways_make_the_same_word(one: str, other: str) -> None:
    assert words(one) == words(other) != []

"""The text of the fake model, cut into tokens."""

from rag_service.testing.completions import split_tokens

TEXT = "Leave is 25 days [1]. It grows [2][12] with age.\n\n假期是二十五天。"


def test_tokens_join_to_the_text_and_cut_markers_in_three_ways() -> None:
    for text in ("", " ", TEXT, "a[1]b\t[x] ]][ [22]\n\n", "e\u0301 👩‍👩‍👧 ünïcödé_word"):
        assert "".join(split_tokens(text)) == text
    assert split_tokens("so [1] [2] [12]") == ["so", " [", "1", "]", " [2]", " [12", "]"]

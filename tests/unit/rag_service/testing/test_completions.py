"""What the fake model says, without a server around it."""

from typing import Any

import pytest

from rag_service.testing.completions import MAX_EMBEDDING_TOKENS, embeddings_body, split_tokens

TEXT = "Leave is 25 days [1]. It grows [2][12] with age.\n\n假期是二十五天。"


def test_tokens_join_to_the_text_and_cut_markers_in_three_ways() -> None:
    for text in ("", " ", TEXT, "a[1]b\t[x] ]][ [22]\n\n", "e\u0301 👩‍👩‍👧 ünïcödé_word"):
        assert "".join(split_tokens(text)) == text
    assert split_tokens("so [1] [2] [12]") == ["so", " [", "1", "]", " [2]", " [12", "]"]


def test_a_text_longer_than_openais_models_take_is_not_embedded() -> None:
    body: dict[str, Any] = {"model": "m", "input": ["short", "word " * MAX_EMBEDDING_TOKENS]}
    with pytest.raises(ValueError, match="maximum context length"):
        embeddings_body(body, 8)
    body["input"] = ["short", [1, 2, 3]]
    answer = embeddings_body(body, 8)
    assert [len(item["embedding"]) for item in answer["data"]] == [8, 8]
    assert answer["usage"] == {"prompt_tokens": 4, "total_tokens": 4}

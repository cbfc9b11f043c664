"""What is taken out of a stored answer when a document that it quotes is erased."""

from typing import Any

import pytest

from rag_service.db.repositories.quotes import MARKER, Quoted

A, B, C = "document-a", "document-b", "document-c"


def source(number: int, document: str) -> dict[str, Any]:
    return {
        "number": number,
        "document_id": document,
        "chunk_id": f"chunk-{number}",
        "filename": f"{document}.txt",
        "title": "A secret title",
        "headings": ["A secret heading"],
        "page": 3,
        "score": 0.9,
        "text": "A secret text",
        "context": "A secret row",
    }


def citation(number: int, document: str, text: str, claim: str) -> dict[str, Any]:
    start = text.index(claim)
    return {
        "number": number,
        "document_id": document,
        "chunk_id": f"chunk-{number}",
        "answer_span": [start, start + len(claim)],
        "quote": "A secret text",
        "source_span": [0, 13],
        "page": 3,
    }


def quoting(content: str, sources: list[dict[str, Any]], citations: list[dict[str, Any]]) -> Quoted:
    return Quoted(content, sources, citations, generated=False)


def worded(content: str, *cited: tuple[int, str, str], erased: str = A) -> Quoted:
    """A model's answer of A, B and C, without the erased one."""
    citations = [citation(number, document, content, claim) for number, document, claim in cited]
    sources = [source(number, document) for number, document in ((1, A), (2, B), (3, C))]
    return Quoted(content, sources, citations, generated=True).without({erased})


def claims(quoted: Quoted) -> list[str]:
    return [quoted.content[slice(*one["answer_span"])] for one in quoted.citations]


def test_a_claim_becomes_a_marker_and_the_spans_of_the_others_move_along() -> None:
    text = "Before. 😀 Owls hunt at night [1]. Larks sing [2]. They weigh little [1]. Behind [2]."
    cited = [
        (1, A, "Owls hunt at night"),
        (2, B, "Larks sing"),
        (1, A, "They weigh little"),
        (2, B, "Behind"),
    ]
    citations = [citation(number, document, text, claim) for number, document, claim in cited]
    found = quoting(text, [source(1, A), source(2, B)], citations).without({A})
    assert found.content == f"Before. 😀 {MARKER} [1]. Larks sing [2]. {MARKER} [1]. Behind [2]."
    assert claims(found) == [MARKER, "Larks sing", MARKER, "Behind"]
    assert found.sources[1] == source(2, B)
    assert [one["quote"] for one in found.citations] == ["", "A secret text", "", "A secret text"]


def test_nothing_of_the_document_is_left_in_its_entries_but_their_place() -> None:
    text = "Owls hunt [1]."
    found = quoting(text, [source(1, A)], [citation(1, A, text, "Owls hunt")]).without({A})
    assert "secret" not in str(found)
    (kept,), (cited,) = found.sources, found.citations
    assert (kept["number"], kept["document_id"], kept["erased"]) == (1, A, True)
    assert (cited["number"], cited["document_id"], cited["erased"]) == (1, A, True)
    assert set(source(1, A)) <= set(kept) and (kept["text"], kept["headings"]) == ("", [])
    assert cited["answer_span"] == [0, len(MARKER)]


def test_a_claim_that_rests_on_two_documents_is_gone_with_either() -> None:
    text = "Owls hunt at night [1][2]. Larks sing [2]."
    citations = [
        citation(1, A, text, "Owls hunt at night"),
        citation(2, B, text, "Owls hunt at night"),
        citation(2, B, text, "Larks sing"),
    ]
    found = quoting(text, [source(1, A), source(2, B)], citations).without({A})
    assert found.content == f"{MARKER} [1][2]. Larks sing [2]."
    assert claims(found) == [MARKER, MARKER, "Larks sing"]
    again = found.without({B})
    assert again.content == f"{MARKER} [1][2]. {MARKER} [2]."
    assert claims(again) == [MARKER] * 3
    assert again.without({A, B}) == again


def test_spans_that_overlap_become_one_marker() -> None:
    text = "One two three four five."
    citations = [
        citation(1, A, text, "two three"),
        citation(1, A, text, "three four"),
        citation(2, B, text, "four five"),
        citation(2, B, text, text),
    ]
    found = quoting(text, [], citations).without({A})
    assert found.content == f"One {MARKER} five."
    assert claims(found) == [MARKER, MARKER, f"{MARKER} five", f"One {MARKER} five."]


def test_an_answer_that_does_not_cite_the_document_keeps_its_text() -> None:
    found = quoting("Nothing.", [source(1, A), source(2, B)], []).without({A})
    assert found.content == "Nothing."
    assert [one.get("erased", False) for one in found.sources] == [True, False]


@pytest.mark.parametrize(
    ("content", "left"),
    [
        ("Before. 😀 Owls hunt [1]. Larks sing [2]. So it is.", f"{MARKER} [1]. Larks sing [2]. {MARKER}."),
        ("They hunt. They sleep. Larks sing [2].", f"{MARKER}. Larks sing [2]."),
        ("They hunt.\n\nThey sleep.\n\nLarks sing [2].", f"{MARKER}.\n\nLarks sing [2]."),
        (
            "# They hunt\n\n- Larks sing [2]\n- Owls hunt [1]\n- 40 g",
            f"# {MARKER}\n\n- Larks sing [2]\n- {MARKER} [1]\n- {MARKER}",
        ),
        ("| Who | When |\n|---|---|\n| Owls hunt [1] |\n", f"| {MARKER} [1] |\n"),
        ("পেঁচা রাতে শিকার করে। Larks sing [2]।", f"{MARKER}। Larks sing [2]।"),
        ("猫头鹰在夜里捕猎。Larks sing [2]。", f"{MARKER}。Larks sing [2]。"),
        ("`[7]` and [4] are in it. Larks sing [2] !", f"{MARKER}. Larks sing [2] !"),
        ("Larks sing [2].\n\n---\n\n* * *", "Larks sing [2].\n\n---\n\n* * *"),
        ("Larks sing [2]. 😀", f"Larks sing [2]. {MARKER}"),
        ("It weighs 3 kg", MARKER),
        ("", ""),
    ],
)
def test_of_a_models_answer_only_what_a_living_document_is_cited_for_stays(content: str, left: str) -> None:
    said = [(1, A, "Owls hunt"), (2, B, "Larks sing")]
    cited = [one for one in said if one[2] in content]
    found = worded(content, *cited)
    assert found.content == left
    assert [claim for claim, one in zip(claims(found), cited, strict=True) if one[1] == B] == [
        "Larks sing" for one in cited if one[1] == B
    ]
    assert found.without({A}) == found


def test_a_source_that_was_not_cited_may_have_been_repeated_too() -> None:
    found = worded("They eat seeds. Larks sing [2].", (2, B, "Larks sing"), erased=C)
    assert found.content == f"{MARKER}. Larks sing [2]."
    assert claims(found) == ["Larks sing"]


def test_documents_are_erased_one_after_the_other() -> None:
    found = worded("Owls hunt [1]. Larks sing [2]. So it is.", (1, A, "Owls hunt"), (2, B, "Larks sing"))
    again = found.without({B})
    assert again.content == f"{MARKER} [1]. {MARKER} [2]. {MARKER}."
    assert claims(again) == [MARKER, MARKER]


def test_an_answer_of_other_documents_is_left_alone() -> None:
    content = "They hunt. Larks sing [2]."
    answer = Quoted(content, [source(2, B)], [citation(2, B, content, "Larks sing")], generated=True)
    assert answer.without({A}) == answer

"""What is taken out of a stored answer when a document that it quotes is erased."""

from typing import Any

from rag_service.db.repositories.quotes import MARKER, Quoted

A, B = "document-a", "document-b"


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
    found = Quoted(text, [source(1, A), source(2, B)], citations).without({A})
    assert found.content == f"Before. 😀 {MARKER} [1]. Larks sing [2]. {MARKER} [1]. Behind [2]."
    assert claims(found) == [MARKER, "Larks sing", MARKER, "Behind"]
    assert found.sources[1] == source(2, B)
    assert [one["quote"] for one in found.citations] == ["", "A secret text", "", "A secret text"]


def test_nothing_of_the_document_is_left_in_its_entries_but_their_place() -> None:
    text = "Owls hunt [1]."
    found = Quoted(text, [source(1, A)], [citation(1, A, text, "Owls hunt")]).without({A})
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
    found = Quoted(text, [source(1, A), source(2, B)], citations).without({A})
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
    found = Quoted(text, [], citations).without({A})
    assert found.content == f"One {MARKER} five."
    assert claims(found) == [MARKER, MARKER, f"{MARKER} five", f"One {MARKER} five."]


def test_an_answer_that_does_not_cite_the_document_keeps_its_text() -> None:
    found = Quoted("Nothing.", [source(1, A), source(2, B)], []).without({A})
    assert found.content == "Nothing."
    assert [one.get("erased", False) for one in found.sources] == [True, False]

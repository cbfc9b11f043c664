"""What holds for the chunks of any document, whichever way tokens are counted and however small the limit."""

from collections.abc import Sequence
from functools import cache
from uuid import uuid4

import pytest

from ingest.blocks import Block, Extraction
from ingest.chunking import PREFIX_SHARE, TextChunk, TokenSpans, chunk
from tests.unit.ingest import support

DOCUMENTS = {name: support.markdown(text) for name, text in support.documents().items()}
LIMITS = [32, 220]


@pytest.fixture(scope="module", params=["words", "word pieces"])
def spans(request: pytest.FixtureRequest) -> TokenSpans:
    return support.word_spans() if request.param == "words" else support.word_piece_spans()


@pytest.fixture(params=LIMITS)
def limit(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=DOCUMENTS)
def document(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def extraction(document: str) -> Extraction:
    return DOCUMENTS[document]


@pytest.fixture
def chunks(document: str, spans: TokenSpans, limit: int) -> Sequence[TextChunk]:
    return _chunks(document, spans, limit)


@cache
def _chunks(document: str, spans: TokenSpans, limit: int) -> Sequence[TextChunk]:
    return chunk(DOCUMENTS[document], spans, limit=limit)


def short_headings(extraction: Extraction, spans: TokenSpans, limit: int) -> list[Block]:
    """Headings that open a section; a longer one counts as a paragraph."""
    return [
        block
        for block in extraction.blocks
        if block.kind == "heading"
        and len(spans([extraction.text[block.start : block.end]])[0]) <= limit // PREFIX_SHARE
    ]


def test_a_chunk_is_a_span_of_the_text_within_the_limit(
    extraction: Extraction, chunks: Sequence[TextChunk], spans: TokenSpans, limit: int
) -> None:
    assert [item.ordinal for item in chunks] == list(range(len(chunks)))
    for item in chunks:
        assert item.text == extraction.text[item.start : item.end]
        assert item.text.strip()
        assert item.tokens <= limit
        assert len(spans([item.embedded])[0]) <= item.tokens
        assert len(item.text) <= 40 * limit  # also where a tokenizer sees one word


def test_chunks_follow_the_text_without_overlap_and_lose_nothing(
    extraction: Extraction, chunks: Sequence[TextChunk]
) -> None:
    shown = {title for item in chunks for title in item.headings}
    headings = [block for block in extraction.blocks if block.kind == "heading"]
    at = 0
    for start, end in [*((item.start, item.end) for item in chunks), (len(extraction.text),) * 2]:
        assert at <= start
        skipped = [block for block in headings if at <= block.start and block.end <= start]
        gap = extraction.text[at:start]
        for block in reversed(skipped):
            assert set(support.titles(extraction.text, [block])) <= shown
            gap = gap[: block.start - at] + gap[block.end - at :]
        assert not any(char.isalnum() for char in gap), gap
        at = end


def test_a_chunk_stands_under_the_headings_that_are_above_it(
    extraction: Extraction, chunks: Sequence[TextChunk], spans: TokenSpans, limit: int
) -> None:
    opening = short_headings(extraction, spans, limit)
    for item in chunks:
        path = support.titles(extraction.text, support.path_at(opening, item.start))
        assert list(item.headings) == path[len(path) - len(item.headings) :]


def test_no_chunk_holds_text_of_two_sections(
    extraction: Extraction, chunks: Sequence[TextChunk], spans: TokenSpans, limit: int
) -> None:
    opening = short_headings(extraction, spans, limit)
    for item in chunks:
        within = [block for block in opening if item.start <= block.start < item.end]
        assert not within or [(block.start, block.end) for block in within] == [(item.start, item.end)]


def test_ids_are_the_same_in_every_run_and_differ_within_a_version(
    extraction: Extraction, chunks: Sequence[TextChunk], spans: TokenSpans, limit: int
) -> None:
    version, other = uuid4(), uuid4()
    ids = [item.id_in(version) for item in chunks]
    assert len(set(ids)) == len(ids)
    again = chunk(extraction, spans, limit=limit)
    assert [item.id_in(version) for item in again] == ids
    assert not set(ids) & {item.id_in(other) for item in chunks}

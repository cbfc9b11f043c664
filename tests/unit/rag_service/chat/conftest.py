"""Sources to answer from."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from rag_service.chat.events import Source

MakeSource = Callable[..., Source]


@pytest.fixture
def make_source() -> MakeSource:
    """A source with a number and a text; anything else may be given by name."""

    def make(number: int, text: str, **changes: Any) -> Source:
        plain: dict[str, Any] = {
            "document_id": UUID(int=number),
            "chunk_id": UUID(int=100 + number),
            "filename": f"{number}.md",
            "title": f"Title {number}",
            "headings": (),
            "page": number,
            "score": 0.5,
        }
        return Source(number=number, text=text, **(plain | changes))

    return make

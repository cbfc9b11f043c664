"""LangChain loaders as others write them."""

from collections.abc import Iterator

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document


class Shelf(BaseLoader):
    """Two pages of a report, and a note without a source."""

    def __init__(self, topic: str, *, count: int = 1) -> None:
        self._topic = topic
        self._count = count

    def lazy_load(self) -> Iterator[Document]:
        for page in (1, 2):
            metadata = {
                "source": "s3://bucket/report.pdf",
                "page": page,
                "nested": {"a": 1},
                "author": "A. B.",
            }
            yield Document(page_content=f"Page {page} about {self._topic}.", metadata=metadata)
        for _ in range(self._count):
            yield Document(page_content=f"A note about {self._topic}.", metadata={})


class Broken(BaseLoader):
    def lazy_load(self) -> Iterator[Document]:
        raise RuntimeError("no such bucket")

"""Any LangChain document loader, by its dotted name. For the operator alone: it runs the code that it is told."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document

from rag_service.db.repositories.documents import clean_name
from rag_service.errors import InvalidInput

NAMING = ("source", "file_path", "url", "title", "id")
"""What a document is named after: the first of these that its metadata has."""

MOST_ATTRIBUTES = 32
LONGEST_VALUE = 500
_KEY = re.compile(r"\w[\w.-]{0,63}")
_TEXT = (".md", ".markdown", ".txt")


@dataclass
class Loaded:
    """A document as it is taken in. Those that a loader gives of one source, such as pages, are one."""

    name: str
    parts: list[str] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return "\n\n".join(self.parts)


def make_loader(dotted: str, arguments: Mapping[str, Any]) -> BaseLoader:
    """The loader of that name with these arguments.

    Raises:
        InvalidInput: there is none of that name, or it does not take these arguments.
    """
    module, _, name = dotted.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidInput(
            f"There is no loader {dotted}: {error}. LangChain's own come with `pip install 'rag-service[connectors]'`; "
            "most of them need a library of their own besides."
        ) from error
    if not (isinstance(found, type) and issubclass(found, BaseLoader)):
        raise InvalidInput(f"{dotted} is no LangChain document loader.")
    try:
        return found(**arguments)
    except (TypeError, ValueError, ImportError, OSError) as error:
        raise InvalidInput(f"{dotted} cannot be made with these arguments: {error}") from error


def parse_arguments(pairs: Sequence[str]) -> dict[str, Any]:
    """`key=value` each; a value that is JSON is that, and a text else. Raises InvalidInput."""
    arguments: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise InvalidInput(f"An argument looks like key=value, not {pair!r}.")
        try:
            arguments[key] = json.loads(value)
        except ValueError:
            arguments[key] = value
    return arguments


def load_all(loader: BaseLoader) -> Iterator[Loaded]:
    """What the loader gives, in its order; what follows of the same source belongs to the same document.

    Raises:
        InvalidInput: the loader fails.
    """
    current: Loaded | None = None
    for number, document in enumerate(_given(loader), start=1):
        name = _name(document, f"{type(loader).__name__} {number}")
        if current is not None and current.name != name:
            yield current
            current = None
        current = current or Loaded(name, attributes=attributes_of(document.metadata))
        current.parts.append(document.page_content)
    if current is not None:
        yield current


def _given(loader: BaseLoader) -> Iterator[Document]:
    try:
        yield from loader.lazy_load()
    except Exception as error:  # of any kind: it is somebody else's code
        raise InvalidInput(f"The loader failed: {type(error).__name__}: {error}") from error


def _name(document: Document, otherwise: str) -> str:
    named = next((str(document.metadata[key]) for key in NAMING if document.metadata.get(key)), otherwise)
    name = clean_name(named)
    # What is stored is text, whatever it was taken from.
    return name if PurePosixPath(name).suffix.lower() in _TEXT else clean_name(f"{name[-250:]}.md")


def attributes_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What of a document's metadata can be an attribute: strings, numbers and booleans under a plain key."""
    kept = {
        key: value.replace("\x00", "")[:LONGEST_VALUE] if isinstance(value, str) else value
        for key, value in metadata.items()
        if _KEY.fullmatch(str(key)) and isinstance(value, str | int | float | bool)
    }
    return dict(list(kept.items())[:MOST_ATTRIBUTES])

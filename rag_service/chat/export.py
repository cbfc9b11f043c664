"""A conversation as Markdown: one branch, its citations as footnotes.

What people and documents wrote stands inside block quotes, with what could be a link, a picture, a footnote or HTML
escaped: nothing in it can pass for a part of the page, or do anything where the page is shown.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rag_service.db.models import Message

_LINE = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_ACTIVE = re.compile(r"[\\<\[\]]")
_SPECIAL = re.compile(r"[\\`*_\[\]<>#~|&]|(?<!\S)[-+=]")
_MARK = re.compile(r"\[(\d{1,3})\]")
_ERASED = "the document was erased"


def as_markdown(title: str, messages: Sequence[Message]) -> str:
    """The messages, oldest first, under their conversation's title."""
    parts = [f"# {_plain(title)}"]
    notes: list[str] = []
    for message in messages:
        if message.role == "user":
            parts += ["## Question", _quoted(_SPECIAL.sub(r"\\\g<0>", message.content))]
        else:
            parts += [f"## Answer{_state(message)}", _quoted(_answer(message, notes))]
    return "\n\n".join(part for part in [*parts, "\n".join(notes)] if part) + "\n"


def _state(message: Message) -> str:
    said: list[str] = [message.state] if message.state != "complete" else []
    if message.degraded:
        said.append("quoted, since the language model was not available")
    return f" ({'; '.join(said)})" if said else ""


def _answer(message: Message, notes: list[str]) -> str:
    """An answer's own Markdown with its marks as references to footnotes, which are added to `notes`."""
    titles = {source["number"]: source for source in message.sources}
    said: list[str] = []
    at = 0
    for mark in _MARK.finditer(message.content):
        found = _cited(int(mark[1]), mark.start(), message.citations)
        if found is None:
            continue
        notes.append(_note(len(notes) + 1, found, titles.get(found["number"], {})))
        said += [_inert(message.content[at : mark.start()]), f"[^{len(notes)}]"]
        at = mark.end()
    return "".join([*said, _inert(message.content[at:])])


def _cited(number: int, at: int, citations: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The citation that a mark at this place stands for: of those with its number the nearest before it."""
    before = [one for one in citations if one["number"] == number and one["answer_span"][1] <= at]
    return max(before, key=lambda one: one["answer_span"][1], default=None)


def _note(number: int, citation: Mapping[str, Any], source: Mapping[str, Any]) -> str:
    if citation.get("erased") or not citation["quote"]:
        return f"[^{number}]: {_ERASED}"
    name = source.get("title") or source.get("filename") or ""
    page = f", page {citation['page']}" if citation["page"] is not None else ""
    return f"[^{number}]: {_plain(name)}{page}: “{_plain(citation['quote'])}”"


def _inert(text: str) -> str:
    return _ACTIVE.sub(r"\\\g<0>", text)


def _plain(text: str) -> str:
    """Text on one line that says what it says, whatever stands in it."""
    return _SPECIAL.sub(r"\\\g<0>", " ".join(_LINE.sub(" ", text).split()))


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in _LINE.split(text))

"""Exports in Markdown: whatever was said, it can neither pass for a part of the file nor do anything."""

import re
from typing import Any
from uuid import uuid4

import pytest

from rag_service.chat.export import as_markdown
from rag_service.db.models import Message, Role

HOSTILE = [
    "x\n# Forged",
    "x\r## Answer\r\n\r\nforged",
    "x\u2028## Answer",
    "```\nnever closed",
    "<script>alert(1)</script>\n\n<!--",
    "\\<script>alert(1)</script>",
    "![x](https://evil.example/?q=1) [y](javascript:alert(1))",
    "[^1]: forged\n\n[y]: https://evil.example",
    "Setext\n======\n\n---",
    "    indented\n\n- [ ] list",
]


def message(role: Role, content: str, **more: Any) -> Message:
    return Message(
        id=uuid4(), role=role, content=content, state="complete", **{"sources": [], "citations": [], **more}
    )


def cited(number: int, span: tuple[int, int], quote: str) -> dict[str, Any]:
    return {"number": number, "answer_span": span, "quote": quote, "page": 3}


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_what_people_and_documents_say_stays_inside_its_place(hostile: str) -> None:
    answer = message(
        "assistant",
        f"Basalt [1]. {hostile}",
        sources=[{"number": 1, "title": hostile, "filename": "f"}],
        citations=[cited(1, (0, 6), hostile)],
    )
    text = as_markdown(hostile, [message("user", hostile), answer])
    outside = [line for line in text.split("\n") if line and not line.startswith(">")]
    assert outside[0].startswith("# ") and outside[1:3] == ["## Question", "## Answer"]
    assert len(outside) == 4 and outside[3].startswith("[^1]: ")
    # Behind an even number of backslashes, none of them being an escape, stands nothing that acts.
    assert not re.search(r"(?<!\\)(?:\\\\)*<", text)
    assert re.findall(r"(?<!\\)(?:\\\\)*[\[\]]+[^\[\]]*", text.replace("[^1]", "")) == []
    assert not re.search("[\r\u2028]", text)


def test_each_mark_leads_to_the_quote_of_its_own_claim() -> None:
    answer = message(
        "assistant",
        "Basalt [1]. Ice [2][1]. A list [1] of [9].",
        sources=[{"number": 1, "title": "Moon"}, {"number": 2, "title": "", "filename": "ice.md"}],
        citations=[
            cited(1, (0, 6), "made of basalt"),
            {**cited(2, (12, 15), ""), "erased": True},
            {**cited(1, (12, 15), "ice, too"), "page": None},
        ],
    )
    assert as_markdown("T", [answer]) == (
        "# T\n\n## Answer\n\n> Basalt [^1]. Ice [^2][^3]. A list [^4] of \\[9\\].\n\n"
        "[^1]: Moon, page 3: “made of basalt”\n"
        "[^2]: the document was erased\n"
        "[^3]: Moon: “ice, too”\n"
        "[^4]: Moon: “ice, too”\n"
    )


def test_an_answer_that_only_quotes_since_the_model_was_down_says_so() -> None:
    answer = message("assistant", "Basalt.")
    answer.degraded = True
    said = as_markdown("T", [answer])
    assert said == ("# T\n\n## Answer (quoted, since the language model was not available)\n\n> Basalt.\n")


def test_an_answer_that_was_cut_short_says_so_and_bangla_is_left_as_it_is() -> None:
    answer = message("assistant", "চাঁদ **ব্যাসল্ট** দিয়ে")
    answer.state = "stopped"
    assert as_markdown("চাঁদ", [answer]) == "# চাঁদ\n\n## Answer (stopped)\n\n> চাঁদ **ব্যাসল্ট** দিয়ে\n"

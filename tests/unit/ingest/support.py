"""What the tests of chunking share: documents of many kinds, and two ways to count tokens."""

import random
from collections.abc import Sequence

from tokenizers import Tokenizer

from ingest.blocks import Block, Extraction, heading_text, markdown_blocks
from ingest.chunking import TextChunk, TokenSpans, chunk
from rag_service.knowledge.embeddings import built_in_model
from rag_service.testing.embedder import HashedWords
from tests.unit.ingest.test_blocks import SNIPPETS

SENTENCES = [
    "The lease of a job runs out when its worker dies.",
    "Does another worker take it over? It does!",
    'He said: "Keep the receipt for 14 days." Then he left.',
    "চাকরির মেয়াদ শেষ হলে অন্য কর্মী কাজটি নেয়। কোনো কিছু হারায় না।",
    "知识库中的文件会被切分成小块，然后存储在数据库里。每个小块都有编号！",
    "Größe und Maß: 12,5 kg (e.g. for parcels), see Fig. 3.",
]


def word_spans() -> TokenSpans:
    return HashedWords().token_spans


def word_piece_spans() -> TokenSpans:
    """The built-in model's own tokenizer, without the model."""
    tokenizer = Tokenizer.from_file(str(built_in_model() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda texts: [
        encoding.offsets for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)
    ]


def markdown(text: str) -> Extraction:
    return Extraction(text, markdown_blocks(text), "text/markdown")


def chunks_of(text: str, *, limit: int = 60, spans: TokenSpans | None = None) -> list[TextChunk]:
    """The chunks of a Markdown text, counted in words unless told otherwise."""
    return chunk(markdown(text), spans or word_spans(), limit=limit)


def prose(chance: random.Random, sentences: int) -> str:
    return " ".join(chance.choices(SENTENCES, k=sentences))


def table(rows: int, columns: int = 3) -> str:
    head = "| " + " | ".join(f"Column {number}" for number in range(columns)) + " |"
    body = ["| " + " | ".join(f"r{row}c{number}" for number in range(columns)) + " |" for row in range(rows)]
    return "\n".join([head, "|" + " --- |" * columns, *body])


def handbook(seed: int) -> str:
    """A document with every kind of block, sections within sections, and headings with nothing below them."""
    chance = random.Random(seed)
    parts = ["---\ntitle: Handbook\n---"]
    for number in range(40):
        parts.append("#" * chance.randint(1, 5) + f" Section {number}: {chance.choice(SENTENCES)[:40]}")
        for _ in range(chance.randint(0, 4)):
            kinds = (
                prose(chance, chance.randint(1, 12)),
                table(chance.randint(1, 30), chance.randint(1, 5)),
                "```\n"
                + "\n".join(f"line_{n} = {n * n}  # note" for n in range(chance.randint(1, 30)))
                + "\n```",
                "\n".join(f"- {chance.choice(SENTENCES)}" for _ in range(chance.randint(1, 15))),
                "***",
                "> " + prose(chance, 2),
            )
            parts.append(chance.choice(kinds))
    return "\n\n".join(parts)


def documents() -> dict[str, str]:
    chance = random.Random(7)
    return {
        "a handbook": handbook(1),
        "another handbook": handbook(2),
        "one paragraph of 300 sentences": prose(chance, 300),
        "a line of 5,000 words without a space": "".join(f"word{n}" for n in range(5_000)),
        "Thai without a space": "ฐานความรู้ประกอบด้วยเอกสารจำนวนมาก" * 200,
        "base64": "".join(chance.choices("ABCDEFabcdef0123456789+/", k=20_000)),
        "a table of 400 rows": table(400),
        "a table of one long row": f"| a | b |\n|---|---|\n| {prose(chance, 60)} | {'x' * 3_000} |",
        "headings alone": "\n\n".join("#" * (n % 6 + 1) + f" Heading {n}" for n in range(60)),
        "long headings": f"# {prose(chance, 8)}\n\n## {prose(chance, 1)}\n\n### {prose(chance, 1)}\n\ntext\n\n# B",
        "rules between short words": "\n\n---\n\n".join(["Yes."] * 120),
        "a long list": "\n".join(f"{n}. {prose(chance, 2)}" for n in range(100)),
        "anything": "".join(chance.choices(SNIPPETS, k=3_000)),
    }


def path_at(opening: Sequence[Block], offset: int) -> list[Block]:
    """Which of the headings that open sections are above a place in the text, told without the chunker's help."""
    path: list[Block] = []
    for block in opening:
        if block.start <= offset:
            path = [*(above for above in path if above.level < block.level), block]
    return [block for block in path if block.start < offset]


def titles(text: str, path: Sequence[Block]) -> list[str]:
    found = [heading_text(text[block.start : block.end]) for block in path]
    return [title for title in found if title]

"""YAML with the line of every field, from the marks that the loader keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

Path = Sequence[str | int]
"""The way to a value, as pydantic tells it: keys of mappings, positions in lists."""


@dataclass(frozen=True)
class Marked:
    """Where a value and what is in it stand. `node` is None where everything is on one line."""

    node: yaml.Node | None
    first: int

    @classmethod
    def single(cls, line: int) -> "Marked":
        """Everything on one line, as in JSONL."""
        return cls(None, line)

    def below(self, path: Path) -> "Marked":
        """The value at the end of `path`, or, where the path leads to nothing, the last on the way."""
        node, line = self.node, self.first
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            node, line = found
        return Marked(node, line)

    def line(self, path: Path) -> int:
        """The line, counted from 1, of the field at the end of `path`, or of the last thing on the way to it."""
        return self.below(path).first


def _child(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return value, key.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and 0 <= part < len(node.value):
        return node.value[part], node.value[part].start_mark.line + 1
    return None


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice: the first would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the field {key.value!r} is given twice", key.start_mark
                )
            if name is not None:
                seen.add(name)
        return super().construct_mapping(node, deep=deep)


def load_marked(text: str) -> tuple[Any, Marked]:
    """The document as plain values, and where they stand.

    Raises:
        yaml.YAMLError: it is not well formed, or a mapping has a key twice.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, Marked(None, 1)
        return loader.construct_document(node), Marked(node, 1)
    finally:
        loader.dispose()

"""Pages of a PDF, looked at once more by where their letters stand."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import pypdfium2

T = TypeVar("T")

Look = Callable[[pypdfium2.PdfPage, pypdfium2.PdfTextPage], T]


def looked_at(path: Path, numbers: Iterable[int], look: Look[T]) -> dict[int, T]:
    """What `look` makes of each of these pages, by their numbers from 1; without those that cannot be opened."""
    wanted = sorted(set(numbers))
    if not wanted:
        return {}
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError:
        return {}
    found: dict[int, T] = {}
    try:
        for number in wanted:
            if number > len(document):
                break
            try:
                page = document[number - 1]
            except pypdfium2.PdfiumError:
                continue
            try:
                text = page.get_textpage()
                try:
                    found[number] = look(page, text)
                finally:
                    text.close()
            finally:
                page.close()
    finally:
        document.close()
    return found

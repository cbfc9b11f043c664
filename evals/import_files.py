"""Reading the files of a data set, and writing the files of a suite."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evals.errors import SuiteError, at
from evals.suite import Case, Relevant


@dataclass(frozen=True)
class Imported:
    """What was made. `notes` say what was left out, and why."""

    suite: Path
    folder: Path
    cases: int
    documents: int
    notes: Sequence[str]


@dataclass
class Writer:
    """A suite on its way to disk. `names` gives the file of each document that was written."""

    destination: Path
    language: str
    names: dict[str, str] = field(default_factory=dict)
    _cases: list[Case] = field(default_factory=list)
    _taken: set[str] = field(default_factory=set)
    _seen: set[str] = field(default_factory=set)
    _left_out: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        try:
            self.folder.mkdir(parents=True)
        except FileExistsError as error:
            raise SuiteError(f"{self.folder} exists already: name another folder, or remove it.") from error
        except OSError as error:
            raise SuiteError(f"{self.folder} cannot be made: {error.strerror}.") from error

    @property
    def folder(self) -> Path:
        return self.destination / "documents"

    def leave_out(self, what: str, count: int = 1) -> None:
        """Note that something was left out."""
        self._left_out[what] += count

    def document(self, identifier: str, paragraphs: Sequence[str]) -> str | None:
        """Write a document and return its file's name; None, and no file, where there is no text."""
        text = "\n\n".join(part.strip() for part in paragraphs if part.strip())
        if not re.search(r"\w", text):
            self.leave_out("documents without text")
            return None
        name = f"{self._unique(identifier, 120)}.txt"
        path = self.folder / name
        try:
            path.write_text(text + "\n", encoding="utf-8", errors="replace")
        except OSError as error:
            raise SuiteError(f"{path} cannot be written: {error.strerror}.") from error
        self.names[identifier] = name
        return name

    def case(
        self,
        identifier: str,
        question: str,
        *,
        relevant: Sequence[Relevant] = (),
        answers: Sequence[str] = (),
        refuse: bool = False,
    ) -> None:
        """Add a case; one that the service could not be asked is left out."""
        try:
            case = Case(
                id=re.sub(r"^case-(?=[A-Za-z0-9])", "", self._unique(f"case-{identifier}", 100)),
                question=question,
                language=self.language,
                relevant=tuple(relevant),
                answers=tuple(answers),
                refuse=refuse,
            )
        except ValidationError as error:
            fields = {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}
            if "language" in fields:
                raise SuiteError(f"{self.language!r} is no language; one looks like en or pt-BR.") from error
            self.leave_out("questions that are empty, too long or not text")
            return
        self._cases.append(case)

    def _unique(self, identifier: str, length: int) -> str:
        """A name that every file system takes; where it had to be changed, a hash keeps it apart from others."""
        safe = re.sub(r"[^A-Za-z0-9._-]+", "-", identifier)[:length].strip("-.") or "document"
        if safe != identifier or safe.lower() in self._taken:
            safe += f"-{hashlib.sha256(identifier.encode('utf-8', 'replace')).hexdigest()[:8]}"
        if identifier in self._seen:
            raise SuiteError(f"The id {identifier.removeprefix('case-')!r} is given twice.")
        self._seen.add(identifier)
        self._taken.add(safe.lower())
        return safe

    def finish(self) -> Imported:
        """Write the suite."""
        if not self._cases:
            raise SuiteError("The data set holds no question that can be asked.")
        path = self.destination / "suite.jsonl"
        lines = [
            json.dumps(case.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False) + "\n"
            for case in self._cases
        ]
        try:
            path.write_text("".join(lines), encoding="utf-8", errors="replace")
        except OSError as error:
            raise SuiteError(f"{path} cannot be written: {error.strerror}.") from error
        notes = [f"left out: {count} {what}" for what, count in self._left_out.items() if count]
        return Imported(path, self.folder, len(self._cases), len(self.names), notes)


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file with their numbers, empty ones left out. Raises SuiteError if it cannot be read."""
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except OSError as error:
        raise SuiteError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SuiteError(at(path, number + 1, "", "is not UTF-8.")) from error


def rows_of(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file with their lines."""
    for number, line in lines_of(path):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise SuiteError(at(path, number, "", f"is not well-formed JSON: {error.msg}.")) from error
        except RecursionError as error:
            raise SuiteError(at(path, number, "", "is nested too deeply.")) from error
        if not isinstance(row, dict):
            raise SuiteError(at(path, number, "", "must be a JSON object."))
        yield number, row


def text_of(
    path: Path, line: int | None, row: Any, key: str, *, place: str = "", may_be_empty: bool = False
) -> str:
    """A field that must be text."""
    value = row.get(key) if isinstance(row, dict) else None
    if not isinstance(value, str) or not (value.strip() or may_be_empty):
        raise SuiteError(at(path, line, f"{place}.{key}".lstrip("."), "must be text."))
    return value


def listed(path: Path, row: Any, key: str, place: str) -> list[Any]:
    """A field that must be a list."""
    value = row.get(key) if isinstance(row, dict) else None
    if not isinstance(value, list):
        raise SuiteError(at(path, None, f"{place}.{key}".lstrip("."), "must be a list."))
    return value

"""Suites from files. A YAML file is a mapping with `cases`; a JSONL file has one case a line.

Whatever is wrong is refused with the file, the line, the field and a sentence.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from evals.errors import SuiteError, at
from evals.suite import Case, Suite
from evals.yaml_lines import Marked, load_marked

MAX_BYTES = 200 * 1024 * 1024


@dataclass(frozen=True)
class _Raw:
    """A case not yet checked, with the lines it and its fields stand on."""

    value: Any
    marks: Marked


def load_suite(path: Path) -> Suite:
    """Read a suite.

    Raises:
        SuiteError: the file or one of its cases cannot be used; the first fault is told.
    """
    data = _read(path)
    text = _decoded(path, data)
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        name, description, raw = _from_yaml(path, text)
    elif suffix == ".jsonl":
        name, description, raw = path.stem, "", list(_from_jsonl(path, text))
    else:
        raise SuiteError(f"{path} is no suite: its name must end in .yaml, .yml or .jsonl.")
    cases = _cases(path, raw)
    return Suite(name, description, path, hashlib.sha256(data).hexdigest(), cases)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SuiteError(f"{path} is larger than {MAX_BYTES // 1024**2} MiB: split the suite.")
        return path.read_bytes()
    except OSError as error:
        raise SuiteError(f"{path} cannot be read: {error.strerror or 'it is no file'}.") from error


def _decoded(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SuiteError(at(path, line, "", "is not UTF-8; save the file in that encoding.")) from error


def _from_yaml(path: Path, text: str) -> tuple[str, str, Sequence[_Raw]]:
    try:
        document, marks = load_marked(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = f"is not well-formed YAML: {error.problem or error.context}."
        raise SuiteError(at(path, mark.line + 1 if mark else None, "", what)) from error
    except yaml.YAMLError as error:
        raise SuiteError(
            f"{path} is not well-formed YAML: it holds a character that YAML does not allow."
        ) from error
    except RecursionError as error:
        raise SuiteError(f"{path} is nested too deeply to be a suite.") from error
    if not isinstance(document, dict):
        raise SuiteError(at(path, 1, "", "must be a mapping with `name` and `cases`."))
    for key in document:
        if key not in ("name", "description", "cases"):
            what = "is no field of a suite; it has `name`, `description` and `cases`."
            raise SuiteError(at(path, marks.line((key,)), str(key), what))
    for key in ("name", "description"):
        if not isinstance(document.get(key, ""), str):
            raise SuiteError(at(path, marks.line((key,)), key, "must be text."))
    cases = document.get("cases")
    if not isinstance(cases, list):
        raise SuiteError(at(path, marks.line(("cases",)), "cases", "must be a list of cases."))
    raw = [_Raw(case, marks.below(("cases", index))) for index, case in enumerate(cases)]
    return document.get("name") or path.stem, document.get("description", ""), raw


def _from_jsonl(path: Path, text: str) -> Iterator[_Raw]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, object_pairs_hook=_no_duplicates)
        except json.JSONDecodeError as error:
            what = f"is not well-formed JSON: {error.msg} (column {error.colno})."
            raise SuiteError(at(path, number, "", what)) from error
        except ValueError as error:
            raise SuiteError(at(path, number, "", f"{error}.")) from error
        except RecursionError as error:
            raise SuiteError(at(path, number, "", "is nested too deeply to be a case.")) from error
        yield _Raw(value, Marked.single(number))


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"has the field {next(n for n in names if names.count(n) > 1)!r} twice")
    return value


def _cases(path: Path, raw: Sequence[_Raw]) -> list[Case]:
    if not raw:
        raise SuiteError(f"{path} holds no case.")
    cases: list[Case] = []
    lines: dict[str, int | None] = {}
    for one in raw:
        case = _checked(path, one)
        line = one.marks.line(("id",))
        if case.id in lines:
            what = f"the id {case.id!r} is taken already, on line {lines[case.id]}; every case needs its own."
            raise SuiteError(at(path, line, "id", what))
        lines[case.id] = line
        cases.append(case)
    return cases


def _checked(path: Path, raw: _Raw) -> Case:
    if not isinstance(raw.value, dict):
        what = "must be a case: a mapping with at least `id`, `question` and `language`."
        raise SuiteError(at(path, raw.marks.line(()), "", what))
    try:
        return Case.model_validate(raw.value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        # A field that is missing is often there under a misspelt name: that is the better thing to say.
        fault = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
        place = fault["loc"]
        field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
        known = raw.value.get("id")
        owner = f" (case {known!r})" if isinstance(known, str) and place != ("id",) else ""
        sentence = _sentence(fault["type"], fault["msg"])
        raise SuiteError(at(path, raw.marks.line(place), field, f"{sentence}{owner}.")) from error


_SENTENCES = {
    "missing": "is missing",
    "extra_forbidden": "is no field that is known here; check its spelling, and put text with commas in quotes",
    "string_type": "must be text; put it in quotes",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "tuple_type": "must be a list",
    "string_too_short": "must not be empty",
    "model_type": "must be a file name, or a mapping with `file` and perhaps `quote`",
    "model_attributes_type": "must be a file name, or a mapping with `file` and perhaps `quote`",
}


def _sentence(kind: str, message: str) -> str:
    if kind in _SENTENCES:
        return _SENTENCES[kind]
    plain = message.removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
    return plain[:1].lower() + plain[1:]

"""Public data sets as suites: a JSONL of cases, and a folder of text files to upload."""

import json
import re
from pathlib import Path
from typing import Any

from evals.errors import SuiteError, at
from evals.import_files import Imported, Writer, lines_of, listed, rows_of, text_of
from evals.suite import Relevant
from rag_service.knowledge.sentences import sentence_spans


def import_beir(source: Path, destination: Path, language: str = "en") -> Imported:
    """A BEIR folder: corpus.jsonl (_id, title, text), queries.jsonl (_id, text), qrels/test.tsv (three columns).

    Each document of the corpus becomes a file, each query with at least one relevant document a case, with the
    judgements as grades. Thakur and others: BEIR (2021).

    Raises:
        SuiteError: a file is missing or malformed; the sentence names the line.
    """
    judged = _judgements(source / "qrels" / "test.tsv")
    path = source / "queries.jsonl"
    queries = {
        text_of(path, line, row, "_id"): text_of(path, line, row, "text") for line, row in rows_of(path)
    }
    writer = Writer(destination, language)
    path = source / "corpus.jsonl"
    for line, row in rows_of(path):
        title = row.get("title")
        parts = (title if isinstance(title, str) else "", text_of(path, line, row, "text", may_be_empty=True))
        writer.document(text_of(path, line, row, "_id"), parts)
    for identifier, relevant in judged.items():
        known = {name: grade for name, grade in relevant.items() if name in writer.names}
        writer.leave_out(
            "judgements of documents that are empty or not in the corpus", len(relevant) - len(known)
        )
        if identifier not in queries:
            writer.leave_out("judged queries that are not in queries.jsonl")
        elif known:
            graded = [Relevant(file=writer.names[name], grade=grade) for name, grade in known.items()]
            writer.case(identifier, queries[identifier], relevant=graded)
    return writer.finish()


def _judgements(path: Path) -> dict[str, dict[str, int]]:
    """Query to document to grade. Only grades above 0 mean that a document is relevant."""
    judged: dict[str, dict[str, int]] = {}
    for number, line in lines_of(path):
        columns = line.split("\t")
        if number == 1 and columns[-1].strip() == "score":
            continue
        if len(columns) != 3 or not re.fullmatch(r"\s*-?\d{1,9}\s*", columns[2]):
            what = "must have three columns with tabs between them: query id, document id, whole number."
            raise SuiteError(at(path, number, "", what))
        query, document, grade = columns
        if int(grade) > 0:
            judged.setdefault(query, {})[document] = min(int(grade), 100)
    return judged


def import_squad(source: Path, destination: Path, language: str = "en") -> Imported:
    """A JSON file in the form of SQuAD 1.1 or 2.0. Rajpurkar and others (2016), (2018).

    Each article becomes a file. The relevant passage is the sentence in which the first answer stands, so that a
    hit of another paragraph of the article does not count. A question with `is_impossible` is to be refused; mind
    that it is only its own paragraph that is known not to answer it.

    Raises:
        SuiteError: the file is not of that form; the sentence names the field.
    """
    text = "\n".join(line for _, line in lines_of(source))
    try:
        loaded = json.loads(text)
    except json.JSONDecodeError as error:
        raise SuiteError(at(source, error.lineno, "", f"is not well-formed JSON: {error.msg}.")) from error
    except RecursionError as error:
        raise SuiteError(f"{source} is nested too deeply to be SQuAD.") from error
    writer = Writer(destination, language)
    for number, article in enumerate(listed(source, loaded, "data", "")):
        place = f"data[{number}]"
        paragraphs = listed(source, article, "paragraphs", place)
        title = str(article.get("title") or "article").replace("_", " ")
        contexts = [
            text_of(source, None, paragraph, "context", place=f"{place}.paragraphs[{index}]")
            for index, paragraph in enumerate(paragraphs)
        ]
        # Titles repeat: the position tells articles apart.
        name = writer.document(f"{number + 1:04d}-{title}", (title, *contexts))
        for index, (paragraph, context) in enumerate(zip(paragraphs, contexts, strict=True)):
            where = f"{place}.paragraphs[{index}]"
            for position, asked in enumerate(listed(source, paragraph, "qas", where)):
                _question(writer, source, asked, f"{where}.qas[{position}]", name, context)
    return writer.finish()


def _question(writer: Writer, source: Path, asked: Any, where: str, name: str | None, context: str) -> None:
    identifier = text_of(source, None, asked, "id", place=where)
    question = text_of(source, None, asked, "question", place=where)
    if asked.get("is_impossible") is True:
        writer.case(identifier, question, refuse=True)
        return
    answers = listed(source, asked, "answers", where)
    texts = [
        text_of(source, None, answer, "text", place=f"{where}.answers[{index}]")
        for index, answer in enumerate(answers)
    ]
    spoken = list(dict.fromkeys(text.strip() for text in texts if re.search(r"\w", text)))
    if not spoken or name is None:
        writer.leave_out("questions without an answer in words")
        return
    quote = _sentence_at(context, answers[0].get("answer_start"), texts[0])
    writer.case(identifier, question, relevant=[Relevant(file=name, quote=quote)], answers=spoken)


def _sentence_at(context: str, start: Any, answer: str) -> str:
    """The sentence of the context in which the answer stands; the answer itself where that cannot be told."""
    if isinstance(start, int) and context[start : start + len(answer)] == answer:
        for first, last in sentence_spans(context):
            if first <= start and start + len(answer) <= last:
                return context[first:last]
    return answer

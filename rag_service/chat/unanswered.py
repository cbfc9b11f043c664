"""The questions that were refused, those that ask the same as one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from rag_service.db.repositories.refusals import Refusal
from rag_service.knowledge.terms import terms

LOOKED_AT = 10_000
"""How many refused questions of a time span, the newest, are grouped at most."""

WORDINGS = 5


@dataclass(frozen=True)
class Unanswered:
    """A question that was refused `count` times, in these wordings, the newest first (five at most)."""

    id: UUID
    question: str
    wordings: Sequence[str]
    count: int
    first_at: datetime
    last_at: datetime


def grouped(refusals: Sequence[Refusal], language: str | None) -> list[Unanswered]:
    """Groups of refused questions that have the same terms, the one asked last first.

    A group's `id` is that of the question asked last in it; ids are in the order of time.
    """
    groups: dict[str, dict[UUID, Refusal]] = {}
    for refusal in sorted(refusals, key=lambda one: one.question_id, reverse=True):
        # Answered anew, and refused again, it was still asked once.
        groups.setdefault(_key(refusal.question, language), {}).setdefault(refusal.question_id, refusal)
    return [_group(list(group.values())) for group in groups.values()]


def _key(question: str, language: str | None) -> str:
    found = sorted(set(terms(question, language)))
    return " ".join(found) if found else " ".join(question.casefold().split())


def _group(refusals: Sequence[Refusal]) -> Unanswered:
    newest, oldest = refusals[0], refusals[-1]
    wordings = tuple(dict.fromkeys(refusal.question for refusal in refusals))[:WORDINGS]
    return Unanswered(newest.question_id, newest.question, wordings, len(refusals), oldest.at, newest.at)

"""Statements that every question makes, without what the ORM does around them.

A session, its objects and its bookkeeping take about a millisecond of Python for each query, five times what the query
itself takes. Here the statement is compiled once, and its rows come as the driver gives them.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, Select, Uuid, bindparam
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from rag_service.db.caller import caller
from rag_service.db.scoping import limited_to

_SCOPE = "scope"
_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


class PlainQuery:
    """A SELECT with named parameters, ready for asyncpg.

    As in a session, only what is in the caller's scope exists for it. Values are sent as asyncpg takes them: dates,
    UUIDs, bytes, and lists of these, but no JSON.
    """

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        self._open = _Compiled(statement)
        scope = bindparam(_SCOPE, type_=ARRAY(Uuid))
        self._scoped = _Compiled(statement.options(*limited_to(scope)))

    def for_caller(self, values: dict[str, Any]) -> tuple[str, Sequence[Any]]:
        """The text and its values in order, for whoever this task works for."""
        acting = caller.get()
        if acting is None or acting.scope is None:
            return self._open.with_values(values)
        return self._scoped.with_values({**values, _SCOPE: sorted(acting.scope)})


class PlainInsert:
    """The same of a statement that enters rows, and reads none that a scope could hide."""

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        self._compiled = _Compiled(statement)

    def for_caller(self, values: dict[str, Any]) -> tuple[str, Sequence[Any]]:
        """The text and its values in order."""
        return self._compiled.with_values(values)


class _Compiled:
    """The text of a statement, and the names of its values in order."""

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        self._text = str(compiled)
        self._names = compiled.positiontup or []
        self._constants: dict[str, Any] = dict(compiled.params)

    def with_values(self, values: dict[str, Any]) -> tuple[str, Sequence[Any]]:
        every = {**self._constants, **values}
        return self._text, [every[name] for name in self._names]

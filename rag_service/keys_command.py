"""`rag keys`: create, list, rotate, revoke. It works on the database itself: a lost admin key is no dead end."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Column, Table

from rag_service.settings import load_settings

if TYPE_CHECKING:
    from rag_service.auth.service import KeyService
    from rag_service.db.models import ApiKey

keys_app = typer.Typer(help="API keys: create, list, rotate, revoke.", no_args_is_help=True)
console = Console()

Prefix = Annotated[str, typer.Argument(help="As `rag keys list` shows it.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, for scripts.")]


@keys_app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What or whom it is for.")],
    role: Annotated[Literal["admin", "evaluator", "chat"], typer.Option(help="What it may do.")] = "chat",
    knowledge_bases: Annotated[
        list[str] | None,
        typer.Option("--knowledge-base", "-k", help="The only one it is for; may be given several times."),
    ] = None,
    expires: Annotated[datetime | None, typer.Option(help="When it ends, in UTC; never if unset.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, once."""
    ends = expires.replace(tzinfo=UTC) if expires else None

    async def run() -> None:
        async with _key_service() as keys:
            key, text = await keys.create(name, role, knowledge_bases=knowledge_bases or (), expires_at=ends)
        _show(key, text, as_json)

    asyncio.run(run())


@keys_app.command("list")
def list_keys() -> None:
    """All keys, by prefix."""

    async def run() -> None:
        async with _key_service() as keys:
            found = await keys.all()
        # A prefix is there to be copied, and names the role: it is never cut short.
        dated = [Column(name, no_wrap=True) for name in ("Last used", "Ends")]
        table = Table(Column("Prefix", no_wrap=True), "Name", "Knowledge bases", *dated)
        for one in found:
            key = one.key
            used, ends = (f"{date:%Y-%m-%d}" if date else "" for date in (key.last_used_at, key.expires_at))
            bases = ", ".join(one.knowledge_bases) or "all"
            table.add_row(key.prefix, key.name, bases, used, "revoked" if key.revoked_at else ends)
        console.print(table)

    asyncio.run(run())


@keys_app.command("rotate")
def rotate_key(
    prefix: Prefix,
    overlap_hours: Annotated[float, typer.Option(min=0, help="How long the old text works too.")] = 24,
    as_json: AsJson = False,
) -> None:
    """Give a key a new text and show it, once."""

    async def run() -> None:
        async with _key_service() as keys:
            key, text = await keys.rotate(prefix, overlap=timedelta(hours=overlap_hours))
        _show(key, text, as_json)

    asyncio.run(run())


@keys_app.command("revoke")
def revoke_key(prefix: Prefix) -> None:
    """End a key: its next request is refused, and its streams end."""

    async def run() -> None:
        async with _key_service() as keys:
            key = await keys.revoke(prefix)
        console.print(f"Revoked {key.prefix} ({key.name}).", highlight=False)

    asyncio.run(run())


def _show(key: "ApiKey", text: str, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"key": text, "prefix": key.prefix, "role": key.role}) + "\n")
        return
    console.print("Keep it now: it is not shown again.")
    console.out(text, highlight=False)


@asynccontextmanager
async def _key_service() -> AsyncIterator["KeyService"]:
    from rag_service.auth.service import KeyService
    from rag_service.db.caller import Caller, caller
    from rag_service.db.engine import Database

    settings = load_settings().connected()
    assert settings.database_url  # noqa: S101 - connected() promises it
    database = Database(settings.database_url.get_secret_value(), pool=2, application="rag-keys")
    caller.set(Caller("cli"))
    try:
        yield KeyService(database, settings.secret())
    finally:
        await database.close()

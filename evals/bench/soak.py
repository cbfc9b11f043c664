"""`python -m evals.bench.soak`: clients who leave, reset, stall, stop, come back and repeat themselves, for minutes.

In rounds, on a real `rag serve`: each is asked in until its time is up, and waited for until every turn has ended. Then
every turn is looked at: told again, it has exactly one end, and its stored answer says the same. What the api holds
then (connections to PostgreSQL, open files, memory) must be no more than after the first round, its warm-up.
"""

import argparse
import asyncio
import random
import secrets
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from evals.bench.soak_clients import CLIENTS, Soaked, answer_to, client_of, keeps_asking
from evals.bench.soak_gauges import Gauge, settled, wrong_turns
from evals.bench.stack import Running, serving
from rag_service.db.engine import Database
from rag_service.supervisor.postgres import LocalPostgres
from rag_service.testing.model_server import ModelServer, Reply

ROUND_SECONDS = 120.0
MEMORY_MB = 64.0
"""How much more memory than after the warm-up is no leak: an allocator gives back late what a large answer took."""
TOKENS_A_SECOND = 60.0
DOCUMENT = b"# Work\n\nThe work goes on as the handbook says, in many words."

console = Console()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m evals.bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    wrong = asyncio.run(_soak(60 * given.minutes, given.clients, random.Random(given.seed)))
    console.print("\n".join(wrong) or "Every turn has one end, and nothing is left behind.", markup=False)
    sys.exit(1 if wrong else 0)


async def _soak(seconds: float, clients: int, chance: random.Random) -> list[str]:
    """What is wrong after that many seconds."""
    with tempfile.TemporaryDirectory(prefix="rag-soak-") as folder:
        postgres = LocalPostgres(Path(folder))
        await postgres.start()
        database = Database(postgres.url, pool=2, application="soak")
        try:
            with ModelServer(Reply(answer_to, tokens_per_second=TOKENS_A_SECOND)) as model:
                env = {
                    "RAG_ANSWER_TOKENS": "1000000",  # what is told to those who stall is more than is held
                    "DATABASE_URL": postgres.url,
                    "RAG_SECRET_KEY": secrets.token_urlsafe(32),
                    "OPENAI_BASE_URL": model.base_url,
                    "RAG_CHAT_MODEL": "openai:soak",
                    "RAG_REFUSAL_SCORE": "-1",
                    "RAG_RUN_GRACE_SECONDS": "2",
                    "RAG_STREAM_SEND_SECONDS": "2",
                    "RAG_LIMIT_REQUESTS_PER_MINUTE": "0",
                    "RAG_LIMIT_CONCURRENT_RUNS": "0",
                }
                with serving(Path(folder) / "state", **env) as server:
                    return await _rounds(server, model, database, seconds, clients, chance)
        finally:
            await database.close()
            await postgres.stop()


async def _rounds(
    server: Running,
    model: ModelServer,
    database: Database,
    seconds: float,
    clients: int,
    chance: random.Random,
) -> list[str]:
    await _teach(server)
    count = max(3, round(seconds / ROUND_SECONDS))
    wrong: list[str] = []
    rounds: list[tuple[Soaked, Gauge]] = []
    for number in range(count):
        soaked = Soaked(seconds / count)
        async with client_of(server) as http:
            asking = [
                keeps_asking(http, soaked, random.Random(chance.randrange(2**32))) for _ in range(clients)
            ]
            await asyncio.gather(*asking)
        console.print(f"Round {number + 1} of {count}: {dict(soaked.acts)}", markup=False)
        wrong += await settled(database, model)
        async with client_of(server) as http:
            wrong += await wrong_turns(http, database, soaked)
        model.requests.clear()
        gauge = await Gauge.at_rest(server.api, database, rounds[0][1] if rounds else None)
        rounds.append((soaked, gauge))
        console.print(gauge, markup=False)
    console.print(_table(rounds))
    return wrong + rounds[-1][1].above(rounds[0][1], memory_mb=MEMORY_MB)


async def _teach(server: Running) -> None:
    async with client_of(server) as http:
        files = {"files": ("work.md", DOCUMENT)}
        base = "/api/v1/knowledge-bases/default"
        (await http.post(f"{base}/documents", files=files)).raise_for_status()
        while (await http.get(base)).json()["documents"] < 1:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.2)


def _table(rounds: list[tuple[Soaked, Gauge]]) -> Table:
    table = Table("Round", "Turns", "Ends", "Refused", "Connections", "Open files", "Memory MB")
    for number, (soaked, gauge) in enumerate(rounds, start=1):
        ends: Counter[Any] = Counter(soaked.ends)
        table.add_row(
            "warm-up" if number == 1 else str(number),
            str(len(soaked.turns)),
            ", ".join(f"{name} {count}" for name, count in sorted(ends.items())),
            str(soaked.refused),
            ", ".join(f"{name} {count}" for name, count in sorted(gauge.connections.items())),
            str(gauge.files),
            f"{gauge.memory_mb:.0f}",
        )
    return table


if __name__ == "__main__":
    main()

"""What the Dockerfile promises. Building it needs an engine; CI does that, and uses what it built."""

import asyncio
import importlib.util
import os
import re
import sys
import tomllib
from asyncio.subprocess import PIPE, STDOUT
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sqlalchemy import text

from rag_service.db.engine import Database

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "Dockerfile").read_text()


@dataclass(frozen=True)
class Instruction:
    name: str
    value: str
    body: str = ""


def _parse(source: str) -> list[Instruction]:
    """Instructions in order: comments left out, continued lines joined, the text of a heredoc as `body`."""
    found: list[Instruction] = []
    lines = iter(source.splitlines())
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        while line.endswith("\\"):
            line = line[:-1].rstrip() + " " + next(lines).strip()
        name, _, value = line.partition(" ")
        body: list[str] = []
        if (end := re.search(r"<<'(\w+)'", value)) is not None:
            while (part := next(lines)) != end.group(1):
                body.append(part)
        found.append(Instruction(name, value.strip(), "\n".join(body)))
    return found


INSTRUCTIONS = _parse(TEXT)
STARTS = [at for at, instruction in enumerate(INSTRUCTIONS) if instruction.name == "FROM"]
FINAL = INSTRUCTIONS[STARTS[-1] :]


def _only(name: str) -> str:
    values = [instruction.value for instruction in FINAL if instruction.name == name]
    assert len(values) == 1, f"{name}: {values}"
    return values[0]


def _environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in _only("ENV").split())


def _script(path: str) -> str:
    return next(i.body for i in FINAL if i.value.endswith(path) and "--chmod=0755" in i.value)


async def _health(*words: str, **environment: str) -> tuple[int, str]:
    """Run the image's health check. Returns its exit code and what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _script("/usr/local/bin/health"),
        *words,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        stdout=PIPE,
        stderr=STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode().strip()


def test_runs_as_a_user_by_number_that_owns_the_state() -> None:
    """An orchestrator that insists on an ordinary user cannot look a name up."""
    user = re.fullmatch(r"([1-9]\d{3,}):([1-9]\d{3,})", _only("USER"))
    made = next(i.value for i in FINAL if "useradd" in i.value)
    assert user is not None and f"--uid {user[1]} " in made and f"--gid {user[2]} " in made
    assert _only("VOLUME") == _environment()["RAG_STATE_DIR"]
    assert f"-m 0700 {_only('VOLUME')}" in made


def test_is_reachable_at_the_port_that_it_exposes() -> None:
    assert _environment()["RAG_HOST"] == "0.0.0.0"  # noqa: S104 - inside the container
    assert _only("EXPOSE") == _environment()["RAG_PORT"]


@pytest.mark.parametrize(("command", "module"), [("api", "rag_service.main"), ("worker", "ingest")])
def test_the_commands_hand_their_process_over(command: str, module: str) -> None:
    """A shell in between would keep signals to itself."""
    last = _script(f"/usr/local/bin/{command}").splitlines()[-1]
    assert last.startswith(f"exec python -m {module} ") and importlib.util.find_spec(module)


async def test_an_api_is_well_while_it_answers() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        status = b"200 OK" if request.startswith(b"GET /health/live ") else b"503 Service Unavailable"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = str(server.sockets[0].getsockname()[1])
    async with server:
        assert await _health("live", RAG_PORT=port) == (0, "")
        assert await _health("ready", RAG_PORT=port) == (1, "ready: no")
    code, said = await _health("live", RAG_PORT=port)
    assert code == 1 and said.startswith("live: ConnectionRefusedError")


async def test_a_worker_is_well_while_it_uses_the_database(database_url: str) -> None:
    environment = {"DATABASE_URL": database_url, "RAG_SECRET_KEY": "0123456789abcdefghijklmnopqrstuv"}
    assert await _health("worker", **environment) == (1, "worker: no")
    database = Database(database_url, application="rag-worker")
    try:
        async with database.transaction() as session:
            await session.execute(text("SELECT 1"))
        assert await _health("worker", **environment) == (0, "")
    finally:
        await database.close()
    assert await _health("worker", **environment) == (1, "worker: no")


def test_a_vocabulary_is_looked_for_where_the_image_puts_it() -> None:
    copied = next(i.value for i in FINAL if "--from=vocabulary" in i.value)
    assert copied.split()[-1] == _environment()["TIKTOKEN_CACHE_DIR"]


def test_every_install_is_held_to_the_versions_tested() -> None:
    commands = [
        line
        for instruction in INSTRUCTIONS
        for line in [instruction.value, *instruction.body.splitlines()]
        if re.search(r"\bpip( --python \S+)? install\b", line)
    ]
    assert commands
    for command in commands:
        assert "--constraint constraints.txt" in command or "--no-index --no-deps" in command, command


def test_every_package_that_is_installed_has_a_version_tested() -> None:
    """What the product needs, and what that needs in turn: one that is left out would be a surprise of each build."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        waiting = [(Requirement(line), "") for line in tomllib.load(file)["project"]["dependencies"]]
    needed: set[tuple[str, str]] = set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        for wanted in {"", *requirement.extras}:
            if (one := (canonicalize_name(requirement.name), wanted)) not in needed:
                needed.add(one)
                waiting += [(Requirement(line), wanted) for line in metadata.requires(one[0]) or ()]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line}
    assert {name for name, _ in needed} - pinned == set()


def test_all_that_is_copied_from_the_checkout_is_there_and_let_in() -> None:
    """`.dockerignore` lets nothing in that it does not name."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    for instruction in INSTRUCTIONS:
        if instruction.name != "COPY" or "--from=" in instruction.value or instruction.body:
            continue
        for source in instruction.value.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(source == name or source.startswith(f"{name}/") for name in let_in), source


def test_no_secret_can_get_in() -> None:
    assert "**/.env" in (ROOT / ".dockerignore").read_text().splitlines()
    for instruction in INSTRUCTIONS:
        if instruction.name in ("ARG", "ENV"):
            assert not re.search(r"PASSWORD|SECRET|API_KEY", instruction.value), instruction.value


def test_names_no_host() -> None:
    assert "://" not in TEXT

"""What the Dockerfile promises. Building it needs an engine; CI does that, and uses what it built."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "Dockerfile").read_text()


@dataclass(frozen=True)
class Instruction:
    name: str
    value: str
    body: str = ""


def _parse(text: str) -> list[Instruction]:
    """Instructions in order: comments left out, continued lines joined, the text of a heredoc as `body`."""
    found: list[Instruction] = []
    lines = iter(text.splitlines())
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


def _stage(name: str) -> Sequence[Instruction]:
    start = next(at for at in STARTS if INSTRUCTIONS[at].value.endswith(f" AS {name}"))
    return INSTRUCTIONS[start : next(at for at in [*STARTS, len(INSTRUCTIONS)] if at > start)]


def _only(name: str) -> str:
    values = [instruction.value for instruction in FINAL if instruction.name == name]
    assert len(values) == 1, f"{name}: {values}"
    return values[0]


def _environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in _only("ENV").split())


def test_runs_as_a_user_by_number_that_is_not_root() -> None:
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", _only("USER"))


def test_the_user_is_the_one_that_owns_the_state() -> None:
    uid, gid = _only("USER").split(":")
    made = next(i.value for i in FINAL if "useradd" in i.value)
    assert f"--uid {uid} " in made and f"--gid {gid} " in made
    assert "-m 0700 /var/lib/rag" in made
    assert _only("VOLUME") == _environment()["RAG_STATE_DIR"] == "/var/lib/rag"


def test_is_the_api_unless_told_otherwise_and_reachable_from_outside() -> None:
    assert _only("ENTRYPOINT") == '["tini", "--"]'  # without -g: signals go to the child alone
    assert _only("CMD") == '["api"]'
    assert _environment()["RAG_HOST"] == "0.0.0.0"  # noqa: S104 - inside the container
    assert _only("EXPOSE") == _environment()["RAG_PORT"]


@pytest.mark.parametrize(("command", "module"), [("api", "rag_service.main"), ("worker", "ingest worker")])
def test_the_commands_hand_their_process_over(command: str, module: str) -> None:
    """A shell in between would keep signals to itself."""
    script = next(i for i in FINAL if i.value.endswith(f"/usr/local/bin/{command}"))
    assert "--chmod=0755" in script.value
    assert script.body.splitlines() == ["#!/bin/sh", f'exec python -m {module} "$@"']


def test_ends_on_sigterm_and_tells_its_health() -> None:
    assert _only("STOPSIGNAL") == "SIGTERM"
    assert _only("HEALTHCHECK").endswith('CMD ["health"]')
    script = next(i for i in FINAL if i.value.endswith("/usr/local/bin/health"))
    compile(script.body, "health", "exec")


def test_a_vocabulary_is_looked_for_where_the_image_puts_it() -> None:
    copied = next(i.value for i in FINAL if "--from=vocabulary" in i.value)
    assert copied.split()[-1] == _environment()["TIKTOKEN_CACHE_DIR"]


def test_every_package_is_of_the_version_tested() -> None:
    installs = [
        line
        for instruction in INSTRUCTIONS
        for line in [instruction.value, *instruction.body.splitlines()]
        if re.search(r"\bpip( --python \S+)? install\b", line)
    ]
    assert len(installs) == 3
    for line in installs:
        assert "--constraint constraints.txt" in line or "--no-deps /wheel" in line, line


def test_the_pages_come_from_the_lock_file() -> None:
    web = ROOT / "rag_service" / "web"
    assert (web / "package.json").is_file() and (web / "package-lock.json").is_file()
    commands = [i.value for i in _stage("web") if i.name == "RUN"]
    assert "npm ci" in commands[0] and commands[1] == "npm run build"
    assert any(
        i.value == "--from=web /src/rag_service/web/dist rag_service/web/dist" for i in _stage("wheel")
    )


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

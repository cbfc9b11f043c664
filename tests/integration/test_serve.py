"""`rag serve` as a person runs it: started, asked, killed, started again, stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from evals.bench.stack import free_port

BIN = Path(sys.executable).parent
PATIENCE_SECONDS = 90


class Machine:
    """One state folder in a path with a space, and the commands a person would type there."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "my state"
        self.port = free_port()
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("RAG_", "OPENAI_"))},
            "RAG_STATE_DIR": str(self.state),
            "RAG_PORT": str(self.port),
            "RAG_SAMPLE": "false",
        }

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )

    def ask(self, question: str, *more: str) -> dict[str, object]:
        done = self.run("rag", "ask", "--json", *more, question)
        assert done.returncode == 0, done.stderr
        answer: dict[str, object] = json.loads(done.stdout)
        return answer

    @contextmanager
    def serving(self) -> Iterator[psutil.Process]:
        """A server that is ready; however the block leaves it, nothing of it is left behind."""
        with (self.state.parent / "console.txt").open("a") as console:
            process = psutil.Popen([str(BIN / "rag"), "serve"], env=self.env, stdout=console, stderr=console)
        try:
            until(lambda: self.is_ready() or not process.is_running(), PATIENCE_SECONDS)
            yield process
        finally:
            if process.is_running():
                process.send_signal(signal.SIGTERM)
                process.wait(20)

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health/ready", timeout=5).status_code == 200
        except httpx.TransportError:
            return False


def until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_what_was_said_outlives_kill_9_and_no_process_does(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "docs" / "below").mkdir(parents=True)
    (tmp_path / "docs" / "owls.md").write_text("# Owls\n\nOwls hunt at night and eat voles.\n")
    (tmp_path / "docs" / "below" / "larks.txt").write_text("Larks sing at dawn over open fields.\n")
    (tmp_path / "docs" / "empty.pdf").write_bytes(b"")

    with machine.serving() as server:
        added = machine.run("rag-ingest", "add", str(tmp_path / "docs"))
        assert added.returncode == 1, added.stderr  # one of them cannot be read
        assert "2 added, 1 failed." in " ".join(added.stdout.split())
        first = machine.ask("What do owls eat?")
        assert "Owls hunt at night and eat voles." in str(first["answer"])
        family = server.children(recursive=True)
        server.kill()
        until(lambda: not any(_lives(process) for process in family), 15)

    refused = machine.run("rag", "ask", "Anybody there?")
    assert refused.returncode == 2
    assert "Is `rag serve` running?" in refused.stderr

    with machine.serving() as server:
        again = machine.run("rag-ingest", "add", str(tmp_path / "docs" / "owls.md"))
        assert "1 unchanged." in " ".join(again.stdout.split()), again.stderr
        conversation = str(first["conversation_id"])
        second = machine.ask("And when do they hunt?", "--conversation", conversation)
        assert second["conversation_id"] == conversation
        assert "Owls hunt at night and eat voles." in str(second["answer"])
        messages = _messages(machine, conversation)
        assert [message["role"] for message in messages] == ["user", "assistant"] * 2
        assert {message["state"] for message in messages} == {"complete"}
        _keys_are_made_shown_once_and_revoked(machine)
        family = server.children(recursive=True)
        started = time.monotonic()
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
        assert time.monotonic() - started < 10
        assert not any(_lives(process) for process in family)
    assert not (machine.state / "endpoints.json").exists()


def _keys_are_made_shown_once_and_revoked(machine: Machine) -> None:
    limits = ("--knowledge-base", "default", "--expires", "2999-12-31")
    first = json.loads(machine.run("rag", "keys", "create", "website", *limits, "--json").stdout)
    rotate = ("rag", "keys", "rotate", first["prefix"], "--overlap-hours", "0", "--json")
    made = json.loads(machine.run(*rotate).stdout)
    assert made["prefix"] == first["prefix"] and made["key"] != first["key"] and made["role"] == "chat"
    listed = machine.run("rag", "keys", "list").stdout
    assert made["prefix"] in listed
    assert made["key"] not in listed
    assert "2999-12-31" in listed
    assert machine.run("rag", "ask", "--key", first["key"], "Anything?").returncode == 2
    answer = machine.run("rag", "ask", "--key", made["key"], "--json", "Anything?")
    assert answer.returncode == 0, answer.stderr
    assert machine.run("rag", "keys", "revoke", made["prefix"]).returncode == 0
    refused = machine.run("rag", "ask", "--key", made["key"], "Anything?")
    assert (refused.returncode, refused.stderr.strip()) == (
        2,
        "rag: This API key is not known, or was revoked.",
    )
    assert (machine.state / "admin.key").stat().st_mode & 0o777 == 0o600


def _messages(machine: Machine, conversation: str) -> list[dict[str, str]]:
    key = (machine.state / "admin.key").read_text().strip()
    answer = httpx.get(
        f"http://127.0.0.1:{machine.port}/api/v1/conversations/{conversation}/messages",
        headers={"Authorization": f"Bearer {key}"},
    )
    items: list[dict[str, str]] = answer.json()["items"]
    return items


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False

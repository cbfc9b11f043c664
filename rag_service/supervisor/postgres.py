"""The local PostgreSQL: the real server, on a loopback port, with its data in the state folder."""

import asyncio
import secrets
import signal
import time
from pathlib import Path

import asyncpg
import psutil

from rag_service.errors import ConfigurationError
from rag_service.private_files import write_private
from rag_service.supervisor.cluster import SUPERUSER, ensure_cluster, find_binaries, server_environment
from rag_service.supervisor.leftovers import end_process, replace_leftover
from rag_service.supervisor.privileges import Account
from rag_service.supervisor.process import Child, Say, quiet
from rag_service.supervisor.sockets import free_loopback_port

DATABASE = "rag"
STOP_SECONDS = 6.0
_QUIT_SECONDS = 1.0
_SILENT_SECONDS = 30.0
_ATTEMPTS = 3
_POLL_SECONDS = 0.03
_PORTS = (15_000, 22_999)

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "maintenance_work_mem": "128MB",
    # No query of ours gains from parallel workers, and a container's small /dev/shm can fail them.
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    # Until it has counted what many uploads brought, PostgreSQL takes a knowledge base for nearly empty, and looks at
    # each of its documents to read a few chunks back.
    "autovacuum_naptime": "15s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "logging_collector": "off",
}


class LocalPostgres:
    """PostgreSQL 18, started and stopped by us. `url` is known, and stays the same, from construction on."""

    def __init__(self, state_dir: Path, *, say: Say = quiet) -> None:
        """Choose the port and the password.

        Raises:
            ConfigurationError: PostgreSQL is not installed, or the password of existing data is lost.
        """
        self._state_dir = state_dir
        self._data = state_dir / "postgres"
        self._binaries = find_binaries()
        self._port = free_loopback_port(*_PORTS)
        self._password_file = state_dir / "postgres.password"
        self._password = self._load_password()
        self._say = say
        self.child: Child | None = None

    @property
    def url(self) -> str:
        """For SQLAlchemy. It holds the password."""
        return f"postgresql+asyncpg://{SUPERUSER}:{self._password}@127.0.0.1:{self._port}/{DATABASE}"

    async def start(self) -> None:
        """Start it, on new data or old, and return when the database `rag` can be used.

        Raises:
            ConfigurationError: it does not start; holds the last lines that it said.
        """
        await replace_leftover(self._state_dir, "postgres", signal.SIGINT, STOP_SECONDS)
        await self._end_postmaster()
        await ensure_cluster(self._data, self._password, self._binaries)
        self.child = self._make_child()
        await self.child.start()
        connection = await self._connect(self.child)
        try:
            if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f'CREATE DATABASE "{DATABASE}"')
        finally:
            await connection.close(timeout=5)

    async def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Stop it: connections are cut and all is written (SIGINT); after `timeout` seconds less politely."""
        if self.child is None:
            return
        await self.child.ask_to_stop(signal.SIGINT, timeout)
        # SIGQUIT ends it without a checkpoint; the next start then reads its log, and loses nothing.
        await self.child.stop(signal.SIGQUIT, _QUIT_SECONDS)
        self.child = None

    def _load_password(self) -> str:
        if not self._password_file.exists():
            if self._data.exists():
                raise ConfigurationError(
                    f"{self._password_file} is missing, and {self._data} cannot be opened without it. Put it back, "
                    "or move the data folder away to start with an empty one."
                )
            write_private(self._password_file, secrets.token_urlsafe(32))
        return self._password_file.read_text().strip()

    def _make_child(self) -> Child:
        options = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command = [str(self._binaries / "postgres"), "-D", str(self._data), "-p", str(self._port), *options]
        account = Account.for_folder(self._data)
        return Child(
            "postgres",
            account.command(command, signal.SIGINT) if account else command,
            state_dir=self._state_dir,
            env=server_environment(),
            death_signal=signal.SIGINT,
            say=self._say,
        )

    async def _end_postmaster(self) -> None:
        """Stop a server that still runs on our data without a record of ours: its own pid file tells."""
        process = _postmaster(self._data)
        if process is not None:
            await end_process(process, (signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, _QUIT_SECONDS))

    async def _connect(self, child: Child) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection to the maintenance database, as soon as the server gives one."""
        deadline = time.monotonic() + _SILENT_SECONDS
        while True:
            try:
                return await asyncpg.connect(
                    host="127.0.0.1",
                    port=self._port,
                    user=SUPERUSER,
                    password=self._password,
                    database="postgres",
                    ssl=False,
                    timeout=5,
                )
            except asyncpg.CannotConnectNowError:
                # It is alive and reads its log after a crash, for as long as that takes.
                deadline = time.monotonic() + _SILENT_SECONDS
            except asyncpg.InvalidAuthorizationSpecificationError as error:
                raise ConfigurationError(
                    f"{self._data} has another password than the one in {self._password_file}. Put the right one back."
                ) from error
            except (OSError, asyncpg.PostgresConnectionError):
                if time.monotonic() > deadline or child.quick_deaths >= _ATTEMPTS:
                    raise ConfigurationError(_not_started(child)) from None
            await asyncio.sleep(_POLL_SECONDS)


def _postmaster(data: Path) -> psutil.Process | None:
    """The server that runs on `data`, if one does. The pid in the file may be another program's by now."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        process = psutil.Process(int(lines[0]))
        ours = process.name() == "postgres" and str(data) in process.cmdline()
    except (OSError, ValueError, IndexError, psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    return process if ours else None


def _not_started(child: Child) -> str:
    return f"The local PostgreSQL does not start. The last lines of {child.log_path}:\n{child.log_tail()}"

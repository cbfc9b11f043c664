"""Celery on Redis, for jobs shared out between many workers: `celery --app ingest.celery_app worker`.

A message carries the id of a job and nothing else. Its row in PostgreSQL stays the truth: the task claims it under the
same lease and fence as the plain worker does, so acknowledgements, redelivery and the visibility timeout do not matter.
"""

import functools
import sys
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from celery import Celery, bootsteps, signals
from celery.worker import state
from kombu.exceptions import OperationalError
from redis import Redis, RedisError

from ingest.worker_thread import WorkerThread
from rag_service import logs
from rag_service.errors import ConfigurationError, RagError, Unavailable
from rag_service.settings import Settings, load_settings

QUEUE = "rag-jobs"
ANSWER_SECONDS = 5.0
"""How long Redis may take over one answer."""

app = Celery("rag-ingest")


@functools.cache
def _settings() -> Settings:
    try:
        settings = load_settings()
        if settings.redis_url is None:
            raise ConfigurationError("A Celery worker needs REDIS_URL. Set it, or run `rag-ingest worker`.")
    except ConfigurationError as error:
        sys.exit(f"rag-ingest: {error.detail}")
    return settings


def _redis_url() -> str:
    url = _settings().redis_url
    return url.get_secret_value() if url else ""


def _configuration() -> dict[str, object]:
    return {
        "broker_url": _redis_url(),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # for ever: Redis comes back when it comes back
        "broker_transport_options": {
            "socket_timeout": ANSWER_SECONDS,
            "socket_connect_timeout": ANSWER_SECONDS,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        "task_default_queue": QUEUE,
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        # Threads, since the jobs run on one event loop with one model: a process each would load it again.
        "worker_pool": "threads",
        # As many as without Celery; `--concurrency` still wins.
        "worker_concurrency": _settings().worker_jobs,
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_enable_remote_control": False,
        "worker_redirect_stdouts": False,
    }


app.add_defaults(_configuration)


class RedisBroker:
    """The messages to Celery's workers, which wait in a list of Redis."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(
            url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
        )

    def waiting(self) -> int:
        try:
            return int(self._redis.llen(QUEUE))
        except RedisError as error:
            raise _unavailable() from error

    def send(self, job_ids: Sequence[UUID]) -> None:
        try:
            for job_id in job_ids:
                read.apply_async((str(job_id),), retry=False)
        except (OperationalError, RedisError, OSError) as error:
            raise _unavailable() from error


def _unavailable() -> Unavailable:
    return Unavailable(
        "Redis does not answer; jobs wait in the database until it does.", code="redis_unavailable"
    )


def _fail() -> None:
    state.should_stop = 1  # Celery ends with this code, and whoever watches over it starts it again


@functools.cache
def _worker() -> WorkerThread:
    return WorkerThread(_settings(), RedisBroker(_redis_url()), failed=_fail)


def _read(job_id: str) -> None:
    """Do the job of that id, if it is due."""
    _worker().do(UUID(job_id))


read = app.task(name="ingest.read")(_read)


class Reading(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Starts the worker's thread before messages are taken, and ends it before their pool is waited for."""

    requires = {"celery.worker.components:Pool"}  # noqa: RUF012 - Celery's own form

    def start(self, worker: Any) -> None:
        if worker.pool_cls.__module__ != "celery.concurrency.thread":
            sys.exit("rag-ingest: jobs run in threads around one model. Leave --pool out.")
        try:
            _worker().start()
        except RagError as error:
            sys.exit(f"rag-ingest: {error.detail}")

    def stop(self, worker: Any) -> None:
        _worker().stop()
        _worker().join()


app.steps["worker"].add(Reading)


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def _logs(**_: object) -> None:
    logs.configure(_settings().log_level)


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _stop_at_once(**_: object) -> None:
    # Not when Celery gets to it: it may be waiting for a Redis that is away.
    _worker().stop()

"""Webhooks: entered with the end of a job, signed, delivered at least once, given up with the reason kept."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr

from ingest import webhooks
from ingest.webhooks import Webhook, deliver
from rag_service.db.engine import Database
from rag_service.db.repositories.documents import Documents
from rag_service.db.repositories.job_orders import JobOrders
from rag_service.settings import Settings
from tests.integration.ingestion import Stand, running, stand_on

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@dataclass
class Delivery:
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def check_signature(self) -> None:
        """As the receivers' libraries do it."""
        id, at = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        assert abs(int(at) - time.time()) < 60
        digest = hmac.new(KEY, f"{id}.{at}.".encode() + self.body, hashlib.sha256).digest()
        assert self.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


@dataclass
class Receiver:
    """An HTTP server that answers as it is told to, the last answer for ever; None is silence."""

    url: str = ""
    answers: list[str | None] = field(default_factory=lambda: ["204 No Content"])
    got: list[Delivery] = field(default_factory=list)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        request, *lines = head.strip().split("\r\n")
        assert request == "POST /hook?token=t HTTP/1.1"
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        self.got.append(Delivery(headers, await reader.readexactly(int(headers["content-length"]))))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            await reader.read()  # until the other side gives up
        else:
            writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    server = await asyncio.start_server(made.take, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?token=t"
    async with server:
        yield made


@pytest.fixture
async def stand(settings: Settings, database: Database) -> AsyncIterator[Stand]:
    async with stand_on(settings, database) as made:
        yield made


def to(receiver: Receiver, stand: Stand, *pauses: float) -> Webhook:
    return Webhook(stand.database, receiver.url, KEY, pauses=pauses)


async def deliver_all(webhook: Webhook) -> None:
    while await webhook.deliver_one():
        pass


async def cancelled(stand: Stand) -> None:
    """A job comes to an end, the cheapest one."""
    job_id = await stand.job_of("a.md", "text")
    async with stand.database.transaction() as session:
        await JobOrders(session).cancel(job_id)


async def test_each_end_of_a_job_is_told_once_and_signed(stand: Stand, receiver: Receiver) -> None:
    good = await stand.job_of("good 🌙.md", "Comets are ice.")
    bad = await stand.job_of("bad.md", "")
    await stand.work()
    stopped = await stand.job_of("stopped.md", "text")
    deleted = await stand.upload("deleted.md", "text")
    assert deleted.job is not None
    async with stand.database.transaction() as session:
        await JobOrders(session).cancel(stopped)
        await JobOrders(session).cancel(stopped)
        await Documents(session).delete(deleted.document.id)

    await deliver_all(to(receiver, stand))
    for delivery in receiver.got:
        delivery.check_signature()
        assert delivery.headers["content-type"] == "application/json"
    told = {delivery.event["data"]["job_id"]: delivery.event for delivery in receiver.got}
    assert len(receiver.got) == len(told) == 4
    assert {id: event["type"] for id, event in told.items()} == {
        str(good): "job.succeeded",
        str(bad): "job.failed",
        str(stopped): "job.cancelled",
        str(deleted.job.id): "job.cancelled",
    }
    data = told[str(good)]["data"]
    assert (data["filename"], data["knowledge_base"], data["error"]) == ("good 🌙.md", "default", None)
    assert (data["state"], data["attempts"], data["progress"]) == ("succeeded", 1, {"done": 1, "total": 1})
    assert told[str(bad)]["data"]["error"]["code"] == (await stand.job(bad)).error_code
    assert told[str(deleted.job.id)]["data"]["error"]["code"] == "document_deleted"
    assert not await to(receiver, stand).deliver_one()
    assert await stand.sql("SELECT count(*) FROM webhook_deliveries WHERE delivered_at IS NOT NULL") == 4


async def test_an_end_that_is_not_committed_is_not_told(stand: Stand, receiver: Receiver) -> None:
    job_id = await stand.job_of("a.md", "text")
    with pytest.raises(RuntimeError, match="undone"):
        async with stand.database.transaction() as session:
            await JobOrders(session).cancel(job_id)
            raise RuntimeError("undone")
    await deliver_all(to(receiver, stand))
    assert receiver.got == []


async def test_it_is_tried_again_under_the_same_id_until_it_arrives(
    stand: Stand, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "ANSWER_SECONDS", 1.0)
    receiver.answers = ["500 Oh", "302 Found\r\nLocation: /elsewhere", None, "200 OK"]
    await cancelled(stand)
    await deliver_all(to(receiver, stand, 0, 0, 0))
    assert len(receiver.got) == 4
    assert len({delivery.headers["webhook-id"] for delivery in receiver.got}) == 1
    assert len({delivery.body for delivery in receiver.got}) == 1
    for delivery in receiver.got:
        delivery.check_signature()
    assert await stand.sql("SELECT attempts FROM webhook_deliveries WHERE error IS NULL") == 4


async def test_between_attempts_it_is_waited_and_others_are_told(stand: Stand, receiver: Receiver) -> None:
    receiver.answers = ["503 Busy", "200 OK"]
    await cancelled(stand)
    await cancelled(stand)
    await deliver_all(to(receiver, stand, 3600))
    assert len(receiver.got) == 2
    assert await stand.sql(
        "SELECT not_before - now() BETWEEN interval '50 minutes' AND interval '70 minutes'"
        " FROM webhook_deliveries WHERE delivered_at IS NULL"
    )


@pytest.mark.parametrize(
    ("answer", "attempts", "reason"),
    [("500 Oh", 3, "The answer was 500."), ("410 Gone", 1, "The answer was 410.")],
)
async def test_it_is_given_up_and_the_reason_kept(
    stand: Stand, receiver: Receiver, answer: str, attempts: int, reason: str
) -> None:
    receiver.answers = [answer]
    await cancelled(stand)
    await deliver_all(to(receiver, stand, 0, 0))
    assert len(receiver.got) == attempts
    kept = "SELECT error FROM webhook_deliveries WHERE not_before IS NULL AND delivered_at IS NULL"
    assert await stand.sql(kept) == reason


async def test_a_receiver_that_is_not_there_is_no_fault_of_ours_and_its_address_stays_secret(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    await cancelled(stand)
    assert await Webhook(stand.database, "http://127.0.0.1:1/?token=t", KEY, pauses=()).deliver_one()
    assert await stand.sql("SELECT error FROM webhook_deliveries") == "The request failed: ConnectError."
    assert "token" not in caplog.text


async def test_a_worker_that_dies_while_it_tells_leaves_it_to_the_next(
    stand: Stand, receiver: Receiver
) -> None:
    receiver.answers = [None, "200 OK"]
    await cancelled(stand)
    dying = asyncio.create_task(to(receiver, stand).deliver_one())
    async with asyncio.timeout(10):
        while not receiver.got:  # noqa: ASYNC110 - it is another task's
            await asyncio.sleep(0.01)
    assert not await to(receiver, stand).deliver_one()  # held by the one that is about to die
    dying.cancel()
    await asyncio.wait([dying])
    await stand.sql("UPDATE webhook_deliveries SET not_before = now()")  # as time would
    await deliver_all(to(receiver, stand))
    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


async def test_a_worker_delivers_by_itself(stand: Stand, settings: Settings, receiver: Receiver) -> None:
    told = settings.model_copy(
        update={"webhook_url": SecretStr(receiver.url), "webhook_secret": SecretStr(SECRET)}
    )
    async with running(stand.worker().run(), deliver(stand.database, told)):
        await stand.job_of("a.md", "text")
        await stand.until_it_says(1, "SELECT count(*) FROM webhook_deliveries WHERE delivered_at IS NOT NULL")
    receiver.got[0].check_signature()


async def test_without_a_webhook_nothing_is_kept_for_one(stand: Stand, settings: Settings) -> None:
    await cancelled(stand)
    assert await stand.sql("SELECT count(*) FROM webhook_deliveries") == 1
    async with running(deliver(stand.database, settings)):
        await stand.until_it_says(0, "SELECT count(*) FROM webhook_deliveries")

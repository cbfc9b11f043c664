"""Telling another system that a job has ended, signed as Standard Webhooks has it.

At least once: each end of a job has an id of its own, which stays the same through all attempts to deliver it.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import random
import time
from collections.abc import Sequence
from datetime import timedelta

import httpx

from rag_service.db.engine import Database
from rag_service.db.models import WebhookDelivery
from rag_service.db.repositories.webhooks import WebhookDeliveries
from rag_service.errors import Unavailable
from rag_service.settings import Settings

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0
ANSWER_SECONDS = 10.0
"""How long the receiver may take."""

PAUSES = (5.0, 30.0, 120.0, 600.0, 3600.0, 4 * 3600.0, 12 * 3600.0)
"""Seconds before each further attempt; after the last one the delivery is given up."""

KEPT = timedelta(days=30)
"""How long it can be looked up what was delivered, and what was given up and why."""

TIDY_EVERY_SECONDS = 3600.0
DROP_EVERY_SECONDS = 60.0
GONE = 410


async def deliver(database: Database, settings: Settings) -> None:
    """Deliver what is due for ever; cancel to stop. Where no webhook is set, what was entered for it is dropped."""
    url = settings.webhook_url
    webhook = Webhook(database, url.get_secret_value(), settings.webhook_key()) if url else None
    tidied = 0.0
    while True:
        try:
            if webhook is None or time.monotonic() - tidied > TIDY_EVERY_SECONDS:
                await _tidy(database, wanted=webhook is not None)
                tidied = time.monotonic()
            while webhook is not None and await webhook.deliver_one():
                pass
        except Unavailable as error:
            logger.warning("webhook deliveries cannot be read", extra={"reason": error.detail})
        await asyncio.sleep(LOOK_EVERY_SECONDS if webhook else DROP_EVERY_SECONDS)


async def _tidy(database: Database, *, wanted: bool) -> None:
    async with database.transaction() as session:
        deliveries = WebhookDeliveries(session)
        await deliveries.discard_old(older_than=KEPT)
        if not wanted:
            await deliveries.discard_due()


class Webhook:
    """One receiver of news."""

    def __init__(self, database: Database, url: str, key: bytes, *, pauses: Sequence[float] = PAUSES) -> None:
        self._database = database
        self._url = url
        self._key = key
        self._pauses = pauses

    async def deliver_one(self) -> bool:
        """Try the next delivery that is due; False if there is none. Raises DatabaseUnavailable."""
        async with self._database.transaction() as session:
            delivery = await WebhookDeliveries(session).claim(hold=timedelta(seconds=3 * ANSWER_SECONDS))
        if delivery is None:
            return False
        status, error = await self._post(delivery)
        again_after = None if status == GONE else self._pause(delivery.attempts)
        async with self._database.transaction() as session:
            deliveries = WebhookDeliveries(session)
            if error is None:
                await deliveries.delivered(delivery)
            else:
                await deliveries.failed(delivery, error, again_after=again_after)
        if error is not None:
            what = "webhook given up" if again_after is None else "webhook not delivered yet"
            logger.warning(what, extra={"delivery": str(delivery.id), "reason": error})
        return True

    def _pause(self, attempts: int) -> timedelta | None:
        if attempts > len(self._pauses):
            return None
        jitter = random.uniform(0.9, 1.1)  # noqa: S311 - not a secret
        return timedelta(seconds=self._pauses[attempts - 1] * jitter)

    async def _post(self, delivery: WebhookDelivery) -> tuple[int | None, str | None]:
        """The status of the answer, if there was one; and what went wrong, if something did."""
        body = json.dumps(delivery.payload, ensure_ascii=False).encode()
        headers = signed_headers(self._key, str(delivery.id), int(time.time()), body)
        try:
            async with (
                asyncio.timeout(ANSWER_SECONDS),
                httpx.AsyncClient(follow_redirects=False, timeout=ANSWER_SECONDS) as client,
                # Streamed, so that of a long answer nothing but its head is read.
                client.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                status = answer.status_code
        except (TimeoutError, httpx.TimeoutException):
            return None, f"There was no answer within {ANSWER_SECONDS:.0f} seconds."
        except (httpx.TransportError, httpx.InvalidURL) as error:
            # By its kind: its text may hold the address, and with that a secret.
            return None, f"The request failed: {type(error).__name__}."
        if 200 <= status < 300:
            return status, None
        if 300 <= status < 400:
            where = "Redirects are not followed: set RAG_WEBHOOK_URL to where it leads."
            return status, f"The answer was {status}. {where}"
        return status, f"The answer was {status}."


def signed_headers(key: bytes, delivery_id: str, at: int, body: bytes) -> dict[str, str]:
    """The headers of a delivery: HMAC-SHA256 of `id.timestamp.body` (standardwebhooks.com)."""
    signed = f"{delivery_id}.{at}.".encode() + body
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "content-type": "application/json",
        "user-agent": "rag-service",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{signature}",
    }

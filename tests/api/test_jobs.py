"""Jobs: listed by what is asked for, cancelled, tried anew, and followed through a worker's death."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from ingest.erasure import Eraser
from rag_service.blobs import BlobStore
from rag_service.db.repositories.consistency import Consistency
from rag_service.db.repositories.jobs import Jobs
from rag_service.knowledge.vectors import ChromaIndex, collection_name
from rag_service.supervisor.chroma import LocalChroma
from tests.api.conftest import Guest, NewBase
from tests.api.support import check_problem, frames_of, live_frames
from tests.conftest import Serve, Server
from tests.integration.ingestion import HeldEmbedder

API = "/api/v1"


async def hand_in(server: Server, slug: str, name: str, text: str) -> dict[str, Any]:
    """Upload a file that no worker has looked at yet; its job."""
    files = {"files": (name, text.encode())}
    answer = await server.http.post(f"{API}/knowledge-bases/{slug}/documents", files=files)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()["jobs"][0]
    return found


async def work(server: Server) -> None:
    while await server.worker.run_one():
        pass


async def order(server: Server, job: dict[str, Any], what: str) -> dict[str, Any]:
    answer = await server.http.post(f"{API}/jobs/{job['id']}/{what}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def refused(server: Server, job: dict[str, Any], what: str, code: str) -> str:
    answer = await server.http.post(f"{API}/jobs/{job['id']}/{what}")
    return str(check_problem(answer, 409, code)["detail"])


async def listed(server: Server, **query: Any) -> list[str]:
    answer = await server.http.get(f"{API}/jobs", params=query)
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["items"]]


async def document_state(server: Server, job: dict[str, Any]) -> str:
    return str((await server.http.get(f"{API}/documents/{job['document_id']}")).json()["state"])


async def test_jobs_are_listed_by_states_document_and_time(quoting: Server, new_base: NewBase) -> None:
    slug = await new_base(quoting)
    done = await hand_in(quoting, slug, "a.txt", "Comets.")
    failed = await hand_in(quoting, slug, "b.txt", "")
    await work(quoting)
    cancelled = await order(quoting, await hand_in(quoting, slug, "c.txt", "Stars."), "cancel")

    of_base = {"knowledge_base": slug}
    assert await listed(quoting, **of_base, state=["failed", "cancelled"]) == [cancelled["id"], failed["id"]]
    assert await listed(quoting, **of_base, state="succeeded") == [done["id"]]
    assert await listed(quoting, document_id=failed["document_id"]) == [failed["id"]]
    assert await listed(quoting, document_id=str(uuid4())) == []
    assert await listed(quoting, **of_base, created_after=done["created_at"]) == [
        cancelled["id"],
        failed["id"],
    ]
    assert await listed(quoting, **of_base, created_before=cancelled["created_at"]) == [
        failed["id"],
        done["id"],
    ]
    later = datetime.fromisoformat(cancelled["created_at"]) + timedelta(hours=1)
    assert await listed(quoting, **of_base, created_after=later.isoformat()) == []


@pytest.mark.parametrize("moment", ["", "yesterday", "2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00"])
async def test_a_time_that_is_none_is_refused(quoting: Server, moment: str) -> None:
    for name in ("created_after", "created_before"):
        answer = await quoting.http.get(f"{API}/jobs", params={name: moment})
        check_problem(answer, 422, "invalid_input")


async def test_a_queued_job_is_cancelled_at_once_and_the_same_bytes_come_again(
    quoting: Server, new_base: NewBase
) -> None:
    slug = await new_base(quoting)
    job = await hand_in(quoting, slug, "a.txt", "Comets are ice.")
    ended = await order(quoting, job, "cancel")
    assert (ended["state"], ended["attempts"], ended["error"]["code"]) == ("cancelled", 0, "cancelled")
    assert ended["finished_at"] is not None and ended["started_at"] is None
    assert await document_state(quoting, job) == "failed"
    assert await order(quoting, job, "cancel") == ended  # asked again, nothing else happens
    assert not await quoting.worker.run_one()

    again = await hand_in(quoting, slug, "a.txt", "Comets are ice.")
    await work(quoting)
    assert await document_state(quoting, again) == "ready"
    assert "as succeeded" in await refused(quoting, again, "cancel", "job_ended")
    assert "newer" in await refused(quoting, job, "retry", "newer_version")


async def test_a_job_under_way_is_cancelled_and_tried_anew(serve: Serve) -> None:
    held = HeldEmbedder()
    held.let_go(2)
    async with serve(embedder=held, job_lease_seconds=30) as server:
        await held.has_passed(2)  # the server has warmed up
        held.reached.clear()
        job = await hand_in(server, "default", "a.txt", "Comets are ice.")
        working = asyncio.create_task(server.worker.run_one())
        await held.reached.wait()
        assert (await order(server, job, "retry"))["state"] == "embedding"  # it is under way: left alone
        assert (await order(server, job, "cancel"))["state"] == "cancelled"
        assert await asyncio.wait_for(working, 5)  # though it was never let go on
        assert (await server.http.get(f"{API}/jobs/{job['id']}")).json()["error"]["code"] == "cancelled"
        assert await document_state(server, job) == "failed"

        queued = await order(server, job, "retry")
        assert (queued["state"], queued["attempts"], queued["error"]) == ("queued", 0, None)
        assert (queued["started_at"], queued["finished_at"]) == (None, None)
        assert [end["code"] for end in queued["history"]] == ["cancelled"]  # that much stays known
        assert queued["created_at"] < queued["history"][0]["at"]
        assert await order(server, job, "retry") == queued
        held.let_go()
        await work(server)
        done = (await server.http.get(f"{API}/jobs/{job['id']}")).json()
        assert (done["state"], done["attempts"]) == ("succeeded", 1)
        assert done["created_at"] < done["started_at"] < done["finished_at"]
        assert await document_state(server, job) == "ready"
        assert "nothing to try again" in await refused(server, job, "retry", "job_succeeded")


class SlowToDelete(ChromaIndex):
    """An index that takes its time to delete: until it is let go."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.begun, self.let_go = asyncio.Event(), asyncio.Event()

    async def delete(self, collection: str, ids: Sequence[UUID]) -> None:
        self.begun.set()
        await self.let_go.wait()
        await super().delete(collection, ids)


async def test_what_a_cancelled_job_stored_goes_soon_and_comes_back_when_it_is_tried_anew(
    server: Server, chroma: LocalChroma
) -> None:
    job = await hand_in(server, "default", "a.txt", "Comets are ice.")
    await work(server)
    database, index = server.services.database, SlowToDelete(chroma.url)
    async with database.transaction() as session:  # as it is when all is stored and nothing committed yet
        [name] = [
            collection_name(base.id, base.embedding_model) for base in await Consistency(session).living()
        ]
        await session.execute(
            text("UPDATE jobs SET state = 'storing', lease_until = now() + interval '1 hour'")
        )
        await session.execute(text("UPDATE document_versions SET state = 'pending'"))
        await session.execute(text("UPDATE documents SET active_version_id = NULL"))
    assert await index.count(name) == 1
    await order(server, job, "cancel")
    erasing = asyncio.create_task(
        Eraser(database, index, BlobStore(server.services.settings.blob_dir)).run_one()
    )
    await index.begun.wait()
    retrying = asyncio.create_task(order(server, job, "retry"))
    await asyncio.wait({retrying}, timeout=0.2)
    assert not retrying.done()  # else its vectors would be written first, and then deleted
    index.let_go.set()
    assert await erasing and (await retrying)["state"] == "queued"
    assert await index.count(name) == 0
    await order(server, job, "cancel")  # a second debt, that is paid when the job is open again
    await order(server, job, "retry")
    await work(server)
    while await server.worker.erase_one():
        pass
    assert await index.count(name) == 1
    assert await document_state(server, job) == "ready"


async def test_of_many_who_cancel_and_retry_each_gets_an_answer_and_the_job_runs_once(
    quoting: Server, new_base: NewBase
) -> None:
    job = await hand_in(quoting, await new_base(quoting), "a.txt", "Comets are ice.")
    for what, state in (("cancel", "cancelled"), ("retry", "queued")):
        answers = await asyncio.gather(*(order(quoting, job, what) for _ in range(8)))
        assert {answer["state"] for answer in answers} == {state}
    await work(quoting)
    found = (await quoting.http.get(f"{API}/jobs/{job['id']}")).json()
    assert (found["state"], found["attempts"]) == ("succeeded", 1)


async def test_a_job_of_a_deleted_document_is_not_tried_anew(quoting: Server, new_base: NewBase) -> None:
    job = await hand_in(quoting, await new_base(quoting), "a.txt", "")
    await work(quoting)
    deleted = await quoting.http.delete(f"{API}/documents/{job['document_id']}")
    assert deleted.status_code == 204
    assert "deleted" in await refused(quoting, job, "retry", "document_deleted")


async def test_what_does_not_exist_is_neither_cancelled_nor_tried_anew(quoting: Server, guest: Guest) -> None:
    chatter = await guest(quoting)
    for what in ("cancel", "retry"):
        path = f"{API}/jobs/{uuid4()}/{what}"
        check_problem(await quoting.http.post(path), 404, "job_not_found")
        check_problem(await chatter.post(path), 403, "forbidden")
        check_problem(await quoting.http.post(f"{API}/jobs/x/{what}"), 422, "invalid_input")


async def test_a_stream_outlives_a_worker_and_is_taken_up_where_it_was_cut(
    quoting: Server, new_base: NewBase
) -> None:
    job = await hand_in(quoting, await new_base(quoting), "a.txt", "Comets are ice.")
    path = f"{API}/jobs/{job['id']}/events"
    async with quoting.http.stream("GET", path) as events:
        frames = live_frames(events)
        assert (await anext(frames)).data["state"] == "queued"
        async with (
            quoting.services.database.transaction() as session
        ):  # a worker that is never heard of again
            assert await Jobs(session).claim(lease=timedelta(seconds=-1))
        cut = await anext(frames)
        assert (cut.id, cut.name, cut.data["state"], cut.data["attempts"]) == (2, "progress", "extracting", 1)
    async with quoting.http.stream("GET", path, headers={"Last-Event-ID": str(cut.id)}) as events:
        frames = live_frames(events)
        first = await anext(frames)
        assert (first.id, first.data) == (cut.id + 1, cut.data)
        await work(quoting)
        rest = [frame async for frame in frames]
    assert [frame.id for frame in rest] == list(range(first.id + 1, first.id + 1 + len(rest)))
    assert [frame.name for frame in rest] == ["progress"] * (len(rest) - 1) + ["done"]
    assert (rest[-1].data["state"], rest[-1].data["attempts"]) == ("succeeded", 2)


@pytest.mark.parametrize("last", ["", "x", "-1", "1.5", "9" * 40, "1\x85"])
async def test_a_number_that_no_event_had_is_passed_over(
    quoting: Server, new_base: NewBase, last: str
) -> None:
    job = await hand_in(quoting, await new_base(quoting), "a.txt", "")
    await work(quoting)
    headers = {"Last-Event-ID": last.encode("latin-1")}
    answer = await quoting.http.get(f"{API}/jobs/{job['id']}/events", headers=headers)  # type: ignore[arg-type]
    assert [(frame.id, frame.name) for frame in frames_of(answer.text)] == [(1, "done")]

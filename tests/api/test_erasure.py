"""A deleted document is gone: from answers at once, from disk and index soon after."""

from pathlib import Path

from rag_service.knowledge.vectors import ChromaIndex, collection_name
from rag_service.settings import Settings
from tests.conftest import Server


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_deleted_document_is_hidden_at_once_and_erased_by_the_worker(
    server: Server, settings: Settings
) -> None:
    answer = await server.upload(("keep.md", "Owls hunt at night."), ("drop.md", "Larks sing at dawn."))
    drop = next(item["id"] for item in answer["documents"] if item["filename"] == "drop.md")
    base = await server.services.documents.knowledge_base("default")
    collection = collection_name(base.id, server.services.embedder.fingerprint)
    assert len(_files(settings.blob_dir)) == 2

    assert (await server.http.delete(f"/api/v1/documents/{drop}")).status_code == 204
    assert (await server.http.get(f"/api/v1/documents/{drop}")).status_code == 404
    assert (await server.http.delete(f"/api/v1/documents/{drop}")).status_code == 404
    hits = (await server.http.post("/api/v1/search", json={"query": "Larks sing at dawn."})).json()["hits"]
    assert [hit["filename"] for hit in hits] == ["keep.md"]

    assert await server.worker.erase_one()  # the rows and the file
    assert await server.worker.erase_one()  # the vectors
    assert not await server.worker.erase_one()
    assert len(_files(settings.blob_dir)) == 1
    vector = await server.services.embedder.embed_question("Larks sing at dawn.")
    assert settings.chroma_url
    assert len(await ChromaIndex(settings.chroma_url).search(collection, vector, 10)) == 1


async def test_a_document_deleted_before_it_was_read_never_appears(server: Server) -> None:
    answer = await server.http.post(
        "/api/v1/knowledge-bases/default/documents", files=[("files", ("late.md", b"Too late."))]
    )
    document = answer.json()["documents"][0]["id"]
    job = answer.json()["jobs"][0]["id"]
    await server.http.delete(f"/api/v1/documents/{document}")
    assert (await server.http.get(f"/api/v1/jobs/{job}")).json()["state"] == "cancelled"
    assert not await server.worker.run_one()

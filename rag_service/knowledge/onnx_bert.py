"""One text through a BERT by ONNX Runtime, with 8-bit weights: the way of a question.

Step by step in torch, Python is asked after each of some hundred products, and a question waits at each of them for
whatever else the interpreter is busy with. Here the whole is one call that leaves the interpreter to others. Weights
and states go in blocks of 32 eight-bit numbers with a scale each, so that a quarter of the memory is read: on one core
of a Zen 5 a question of ten tokens takes 1.7 ms of processor time (bfloat16 in torch: 2.3), and 2.3 where the weights
have left the cache (3.8), with a cosine of .9997 to the library's vector.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rag_service.knowledge.embeddings import Vectors
from rag_service.knowledge.plain_bert import PlainBert

if TYPE_CHECKING:
    from onnx import ModelProto
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

BLOCK = 32
"""Weights that share a scale. 16 agree a little better and take longer."""
MIDDLE, REACH = 128, 127
BY_INTEGERS = 4
"""ONNX Runtime's level at which the product itself is one of eight-bit numbers."""
MICROSOFT = "com.microsoft"
OPERATORS, MICROSOFT_OPERATORS, FORMAT = 20, 1, 9


class OnnxBert:
    """`model`'s weights as a graph. Calling it with a text gives a vector of unit length, of shape (dimensions,).

    Any number of threads may call it, and each computes by itself.

    Raises, when made, one of several errors (`plain_bert.NOT_PLAIN`) where the model is not a plain BERT.
    """

    def __init__(self, model: "SentenceTransformer") -> None:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as runtime

        bert = PlainBert.of(model)
        self._tokenizer = bert.tokenizer
        self._words, self._places = bert.words.numpy(), bert.places.numpy()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        graph = _Graph(bert).made().SerializeToString()
        # Its errors have no other base than Exception.
        refusals = (runtime.Fail, runtime.InvalidGraph, runtime.NotImplemented, runtime.RuntimeException)
        try:
            self._session: Any = onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])
        except refusals as error:
            raise NotImplementedError(f"ONNX Runtime does not take the graph: {error}") from error

    def __call__(self, text: str) -> Vectors:
        ids = self._tokenizer.encode(text).ids
        vector: Vectors = self._session.run(None, {"states": self._words[ids] + self._places[: len(ids)]})[0]
        return vector


class _Graph:
    """From the sum of a text's words and places, of shape (tokens, width), to its vector."""

    def __init__(self, bert: PlainBert) -> None:
        if any(weight.shape[1] % BLOCK for weight in _weights(bert)):
            raise ValueError(f"a width is no multiple of {BLOCK}")
        self._bert = bert
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def made(self) -> "ModelProto":
        from onnx import TensorProto, helper

        width = self._bert.width
        vector = self._pooled(self._layers())
        told = helper.make_tensor_value_info("states", TensorProto.FLOAT, ["tokens", width])
        asked = helper.make_tensor_value_info(vector, TensorProto.FLOAT, [width])
        graph = helper.make_graph(self._nodes, "bert", [told], [asked], self._constants)
        versions = [
            helper.make_opsetid("", OPERATORS),
            helper.make_opsetid(MICROSOFT, MICROSOFT_OPERATORS),
        ]
        return helper.make_model(graph, opset_imports=versions, ir_version=FORMAT)

    def _layers(self) -> str:
        bert, width = self._bert, self._bert.width
        one_text = self._constant("one text", np.array([1, -1, width], np.int64))
        tokens = self._constant("tokens", np.array([-1, width], np.int64))
        thirds = self._constant("thirds", np.array([width] * 3, np.int64))
        states = self._norm("LayerNormalization", "first", ["states"], bert.norm, "", axis=-1)
        for number, layer in enumerate(bert.layers):
            own, attention, name = layer.attention.self, layer.attention, f"{number}."
            asked = self._linear(name + "asked", states, [own.query, own.key, own.value])
            parts = [name + part for part in ("query", "key", "value")]
            self._add("Split", [asked, thirds], parts, axis=1)
            parts = [self._add("Reshape", [part, one_text], [part + " of one text"]) for part in parts]
            heard = self._add(
                "MultiHeadAttention", parts, [name + "heard"], domain=MICROSOFT, num_heads=bert.heads
            )
            heard = self._add("Reshape", [heard, tokens], [name + "heard tokens"])
            told = self._linear(name + "told", heard, [attention.output.dense])
            states = self._norm(
                "SkipLayerNormalization", name + "attended", [told, states], attention.output.LayerNorm
            )
            wide = self._linear(name + "wide", states, [layer.intermediate.dense])
            wide = self._add("Gelu", [wide], [name + "gelu"], domain=MICROSOFT)
            fed = self._linear(name + "fed", wide, [layer.output.dense])
            states = self._norm(
                "SkipLayerNormalization", name + "states", [fed, states], layer.output.LayerNorm
            )
        return states

    def _pooled(self, states: str) -> str:
        first = self._constant("first token", np.array([0], np.int64))
        if self._bert.pooling == "mean":
            pooled = self._add("ReduceMean", [states, first], ["pooled"], keepdims=0)
        else:
            place = self._constant("its place", np.array(0, np.int64))
            pooled = self._add("Gather", [states, place], ["pooled"], axis=0)
        return self._add("LpNormalization", [pooled], ["vector"], axis=0, p=2)

    def _linear(self, name: str, states: str, parts: list[Any]) -> str:
        """Several linear maps of the same states as one: shape (tokens, outputs of all)."""
        weight = np.concatenate([_of(part.weight) for part in parts])
        outputs, inputs = weight.shape
        blocks = weight.reshape(outputs, inputs // BLOCK, BLOCK)
        scales = np.abs(blocks).max(axis=2) / REACH
        levels = np.round(blocks / np.where(scales, scales, 1)[:, :, None]) + MIDDLE
        given = [
            states,
            self._constant(name + " weight", levels.astype(np.uint8)),
            self._constant(name + " scales", scales),
            "",  # the zero point is the middle
            "",
            self._constant(name + " bias", np.concatenate([_of(part.bias) for part in parts])),
        ]
        return self._add(
            "MatMulNBits",
            given,
            [name],
            domain=MICROSOFT,
            K=inputs,
            N=outputs,
            bits=8,
            block_size=BLOCK,
            accuracy_level=BY_INTEGERS,
        )

    def _norm(
        self, kind: str, name: str, given: list[str], norm: Any, domain: str = MICROSOFT, **options: Any
    ) -> str:
        scale = self._constant(name + " scale", _of(norm.weight))
        shift = self._constant(name + " shift", _of(norm.bias))
        return self._add(kind, [*given, scale, shift], [name], domain=domain, epsilon=norm.eps, **options)

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _add(self, kind: str, given: list[str], made: list[str], domain: str = "", **options: Any) -> str:
        """Adds a node; returns the name of the first of what it makes."""
        from onnx import helper

        self._nodes.append(helper.make_node(kind, given, made, domain=domain, **options))
        return made[0]


def _weights(bert: PlainBert) -> "list[Tensor]":
    return [
        weight
        for layer in bert.layers
        for weight in (
            layer.attention.self.query.weight,
            layer.intermediate.dense.weight,
            layer.output.dense.weight,
        )
    ]


def _of(weight: "Tensor") -> NDArray[np.float32]:
    values: NDArray[np.float32] = weight.detach().float().numpy()
    return values

"""The zoo's small decoder as a folder that OpenVINO GenAI opens: a graph that keeps its own cache, and its tokenizer.

Inputs, states and names are those that GenAI asks for: ``input_ids``, ``attention_mask``, ``position_ids``,
``beam_idx``, keys and values of each layer as states, ``logits``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.artifacts.convert.export import save_ir
from edgebench.backends.boundary import refusals
from edgebench.backends.genai import MODEL, TOKENIZER
from edgebench_suites.tasks.networks import LLAMA_CONTEXT, LLAMA_EPSILON, LLAMA_HEADS, LLAMA_LAYERS, LLAMA_ROTARY_BASE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    F32 = npt.NDArray[np.float32]

DETOKENIZER = "openvino_detokenizer.xml"


def write_genai(weights: Mapping[str, F32], folder: Path) -> None:
    """Write `byte_llama` with its weights by GGUF's names; a token is a byte, and none begins or ends a text."""
    with refusals("openvino", "to build the model for GenAI"):
        save_ir(_Builder(weights).model(), folder / MODEL)
        tokenizer, detokenizer = _tokenizers(len(weights["token_embd.weight"]))
        save_ir(tokenizer, folder / TOKENIZER)
        save_ir(detokenizer, folder / DETOKENIZER)
    # The pipeline wants a token that ends a text: one that no text holds.
    described = {"model_type": "llama", "max_position_embeddings": LLAMA_CONTEXT, "eos_token_id": 0}
    (folder / "config.json").write_text(json.dumps(described), encoding="utf-8")


class _Builder:
    """Builds the graph; `sinks` are the states that it writes."""

    def __init__(self, weights: Mapping[str, F32]) -> None:
        import numpy as np
        from openvino import opset13 as ops

        self._weights, self._np, self._ops = weights, np, ops
        self.width: int = weights["token_embd.weight"].shape[1]
        self.head = self.width // LLAMA_HEADS
        named = {"input_ids": 2, "attention_mask": 2, "position_ids": 2, "beam_idx": 1}
        self.inputs = [
            ops.parameter([-1] * rank, np.int32 if name == "beam_idx" else np.int64, name=name)
            for name, rank in named.items()
        ]
        for each in self.inputs:
            each.output(0).get_tensor().set_names({each.get_friendly_name()})
        self._tokens, self._mask, self._positions, self._beams = self.inputs
        self._cos, self._sin = self._angles()
        self._bias = self._open_to()
        room = [self._size(self._tokens, 0), self._whole(LLAMA_HEADS), self._whole(0), self._whole(self.head)]
        self._empty = ops.broadcast(self._number(0.0), ops.concat(room, 0))
        self.sinks: list[Any] = []

    def model(self) -> Any:
        """Return the whole model."""
        import openvino

        ops = self._ops
        stream = ops.gather(self._weight("token_embd.weight"), self._tokens, self._whole(0))
        for layer in range(LLAMA_LAYERS):
            part, past = f"blk.{layer}.", f"past_key_values.{layer}"
            stream = ops.add(stream, self._attention(self._normed(stream, f"{part}attn_norm.weight"), part, past))
            own = self._normed(stream, f"{part}ffn_norm.weight")
            gate = ops.swish(self._product(own, f"{part}ffn_gate.weight"))
            wide = ops.multiply(gate, self._product(own, f"{part}ffn_up.weight"))
            stream = ops.add(stream, self._product(wide, f"{part}ffn_down.weight"))
        last = self._product(self._normed(stream, "output_norm.weight"), "output.weight")
        logits = ops.result(last, name="logits")
        logits.output(0).get_tensor().set_names({"logits"})
        return openvino.Model([logits], self.sinks, self.inputs, "byte_llama")

    def _attention(self, own: Any, part: str, past: str) -> Any:
        ops = self._ops
        queries, keys, values = (self._in_heads(own, f"{part}attn_{name}.weight") for name in "qkv")
        keys = self._kept(f"{past}.key", self._rotated(keys))
        values = self._kept(f"{past}.value", values)
        mixed = ops.scaled_dot_product_attention(self._rotated(queries), keys, values, self._bias)
        mixed = ops.transpose(mixed, self._whole(0, 2, 1, 3))
        return self._product(self._shaped(mixed, 0, 0, self.width), f"{part}attn_output.weight")

    def _angles(self) -> tuple[Any, Any]:
        """Return cosines and sines [n, 1, s, d] of the positions' angles."""
        np, ops = self._np, self._ops
        rates = LLAMA_ROTARY_BASE ** (-np.arange(0, self.head, 2, dtype=np.float32) / self.head)
        places = ops.convert(ops.unsqueeze(self._positions, self._whole(2)), "f32")
        angles = ops.multiply(places, ops.constant(rates.reshape(1, 1, -1)))
        angles = ops.unsqueeze(ops.concat([angles, angles], -1), self._whole(1))
        return ops.cos(angles), ops.sin(angles)

    def _open_to(self) -> Any:
        """Return what is added to the scores [n, 1, s, p]: nothing, or minus infinity where a token may not look."""
        ops, whole = self._ops, self._whole
        length, total = self._size(self._tokens, 1), self._size(self._mask, 1)
        zero, one = (ops.constant(self._np.int64(number)) for number in (0, 1))
        places = ops.range(zero, ops.squeeze(total, whole(0)), one, "i64")
        asking = ops.slice(places, ops.subtract(total, length), total, whole(1), whole(0))
        earlier = ops.less_equal(ops.unsqueeze(places, whole(0)), ops.unsqueeze(asking, whole(1)))
        given = ops.unsqueeze(ops.not_equal(self._mask, zero), whole(1, 2))
        seen = ops.logical_and(ops.unsqueeze(earlier, whole(0, 1)), given)
        return ops.select(seen, self._number(0.0), self._number(-self._np.inf))

    def _kept(self, name: str, new: Any) -> Any:
        """Return what was kept, in the order of the beams, with what is new; keep it."""
        ops = self._ops
        state = ops.read_value(self._empty, name, self._np.float32, [-1, LLAMA_HEADS, -1, self.head])
        found = ops.concat([ops.gather(state, self._beams, self._whole(0)), new], 2)
        self.sinks.append(ops.assign(found, name))
        return found

    def _in_heads(self, stream: Any, name: str) -> Any:
        """Return the product with a matrix, cut into heads [n, heads, s, d].

        Rotary positions turn neighbouring pairs in our network, and halves in common graphs, which runtimes know: with
        the rows of queries and keys in another order the scores are the same.
        """
        pairs = self._np.arange(self.width).reshape(LLAMA_HEADS, self.head // 2, 2)
        order = pairs.ravel() if "attn_v" in name else pairs.transpose(0, 2, 1).ravel()
        heads = self._shaped(self._product(stream, name, order), 0, 0, LLAMA_HEADS, self.head)
        return self._ops.transpose(heads, self._whole(0, 2, 1, 3))

    def _rotated(self, vectors: Any) -> Any:
        ops, half = self._ops, self.head // 2
        first, second = (
            ops.slice(vectors, self._whole(at), self._whole(at + half), self._whole(1), self._whole(3))
            for at in (0, half)
        )
        turned = ops.concat([ops.negative(second), first], -1)
        return ops.add(ops.multiply(vectors, self._cos), ops.multiply(turned, self._sin))

    def _normed(self, stream: Any, name: str) -> Any:
        ops = self._ops
        mean = ops.reduce_mean(ops.power(stream, self._number(2.0)), self._whole(-1), keep_dims=True)
        scale = ops.divide(self._number(1.0), ops.sqrt(ops.add(mean, self._number(LLAMA_EPSILON))))
        return ops.multiply(ops.multiply(stream, scale), self._weight(name))

    def _product(self, stream: Any, name: str, rows: Any = slice(None)) -> Any:
        return self._ops.matmul(stream, self._weight(name, rows), False, True)  # noqa: FBT003  # the package's own

    def _weight(self, name: str, rows: Any = slice(None)) -> Any:
        return self._ops.constant(self._np.ascontiguousarray(self._weights[name][rows]), name=name)

    def _shaped(self, tensor: Any, *sizes: int) -> Any:
        return self._ops.reshape(tensor, self._whole(*sizes), True)  # noqa: FBT003  # 0: as it is

    def _size(self, tensor: Any, axis: int) -> Any:
        return self._ops.gather(self._ops.shape_of(tensor), self._whole(axis), self._whole(0))

    def _whole(self, *values: int) -> Any:
        return self._ops.constant(self._np.array(values, self._np.int64))

    def _number(self, value: float) -> Any:
        return self._ops.constant(self._np.float32(value))


def _tokenizers(vocabulary: int) -> tuple[Any, Any]:
    """Return the graph from texts to bytes, and the one back."""
    import numpy as np
    import openvino
    from openvino import opset15 as ops
    from openvino_tokenizers import _get_factory

    create = _get_factory().create
    texts = ops.parameter([-1], openvino.Type.string, name="string_input")
    begins, ends, letters = ops.string_tensor_unpack(texts).outputs()
    longest = ops.reduce_max(ops.subtract(ends, begins), np.array([0]), keep_dims=False)
    numbers = ops.convert(letters, "i32")
    dense = create(
        "RaggedToDense", [begins, ends, *numbers.outputs(), *longest.outputs(), *ops.constant(np.int32(0)).outputs()]
    )
    results = []
    for output, name in zip(dense.outputs(), ("input_ids", "attention_mask"), strict=True):
        results.append(ops.result(ops.convert(output, "i64"), name=name))
        results[-1].output(0).get_tensor().set_names({name})
    tokenizer = openvino.Model(results, [texts], "tokenizer")

    ids = ops.parameter([-1, -1], np.int64, name="input_ids")
    edges = np.arange(vocabulary + 1, dtype=np.int32)
    spelled = [ops.constant(edges[:-1]), ops.constant(edges[1:]), ops.constant(np.arange(vocabulary, dtype=np.uint8))]
    decoded = create("VocabDecoder", [*ops.convert(ids, "i32").outputs(), *(part.output(0) for part in spelled)])
    *ragged, letters = decoded.outputs()
    joined = create("FuzeRagged", ragged)
    packed = ops.string_tensor_pack(*joined.outputs(), letters)
    packed.output(0).get_tensor().set_names({"string_output"})
    detokenizer = openvino.Model([ops.result(packed, name="string_output")], [ids], "detokenizer")
    return tokenizer, detokenizer

"""The zoo's small decoder as a folder that ONNX Runtime GenAI opens: keys and values by layer go in and come out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.artifacts.convert.bytewise import write_tokenizer
from edgebench.artifacts.convert.export import OPSET
from edgebench.backends.boundary import refusals
from edgebench.backends.ortgenaifile import CONFIG
from edgebench.compress.quiet import quiet
from edgebench_suites.tasks.networks import LLAMA_CONTEXT, LLAMA_HEADS, LLAMA_LAYERS

if TYPE_CHECKING:
    import torch

MODEL = "model.onnx"
# No text in UTF-8 holds it: the token that ends a text.
_END = 255


def write_ort_genai(module: torch.nn.Module, folder: Path) -> None:
    """Write `byte_llama` as ONNX with GenAI's names, the configuration that tells them, and a tokenizer of bytes."""
    import torch

    embedding: Any = module.get_submodule("token_embd")
    vocabulary, width = embedding.weight.shape
    head = width // LLAMA_HEADS
    kinds = ("key", "value")
    past = [f"past_key_values.{layer}.{kind}" for layer in range(LLAMA_LAYERS) for kind in kinds]
    present = [f"present.{layer}.{kind}" for layer in range(LLAMA_LAYERS) for kind in kinds]

    class ByLayer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.whole = module

        def forward(self, tokens: Any, mask: Any, *past: Any) -> Any:
            logits, cache = self.whole(tokens, torch.stack(past, 1))
            # An input that nothing needs would be left out, and GenAI gives the mask always.
            return logits + 0 * mask.sum(), *(cache[:, index] for index in range(len(past)))

    shapes: dict[str, dict[int, str]] = {
        "input_ids": {0: "batch", 1: "sequence"},
        "attention_mask": {0: "batch", 1: "total"},
        "logits": {0: "batch", 1: "sequence"},
        **{name: {0: "batch", 2: "past"} for name in past},
        **{name: {0: "batch", 2: "total"} for name in present},
    }
    examples = (
        torch.zeros(1, 5, dtype=torch.long),
        torch.ones(1, 8, dtype=torch.long),
        *(torch.zeros(1, LLAMA_HEADS, 3, head) for _ in past),
    )
    with refusals("torch", "to export ONNX to", folder / MODEL), quiet(), torch.no_grad():
        torch.onnx.export(
            ByLayer().eval(),
            examples,
            folder / MODEL,
            dynamo=False,
            input_names=["input_ids", "attention_mask", *past],
            output_names=["logits", *present],
            dynamic_axes=shapes,
            opset_version=OPSET,
        )
    decoder = {
        "filename": MODEL,
        "head_size": head,
        "hidden_size": width,
        "num_attention_heads": LLAMA_HEADS,
        "num_key_value_heads": LLAMA_HEADS,
        "num_hidden_layers": LLAMA_LAYERS,
        "session_options": {"provider_options": []},
        "inputs": {
            "input_ids": "input_ids",
            "attention_mask": "attention_mask",
            "past_key_names": "past_key_values.%d.key",
            "past_value_names": "past_key_values.%d.value",
        },
        "outputs": {
            "logits": "logits",
            "present_key_names": "present.%d.key",
            "present_value_names": "present.%d.value",
        },
    }
    model = {
        "type": "llama",
        "bos_token_id": _END,
        "eos_token_id": _END,
        "pad_token_id": _END,
        "context_length": LLAMA_CONTEXT,
        "vocab_size": vocabulary,
        "decoder": decoder,
    }
    search = {"do_sample": False, "num_beams": 1, "past_present_share_buffer": False}
    (folder / CONFIG).write_text(json.dumps({"model": model, "search": search}), encoding="utf-8")
    write_tokenizer(folder)

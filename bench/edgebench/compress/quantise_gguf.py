"""GGUF files: the small decoder of the zoo written as one, and llama.cpp's own quantiser for any."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.compress.boundary import needed, refusals
from edgebench.compress.llama_log import log_of
from edgebench.errors import CompressionError
from edgebench_suites.tasks.networks import LLAMA_CONTEXT, LLAMA_EPSILON, LLAMA_HEADS, LLAMA_LAYERS, LLAMA_ROTARY_BASE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    F32 = npt.NDArray[np.float32]

# The library's number of a file type (enum llama_ftype); the rest of a step's name is that of its constant.
_F16 = 1


def write_llama(weights: Mapping[str, F32], target: Path) -> None:
    """Write `byte_llama` as GGUF of the architecture ``llama`` in FP32; a token is a byte, and nothing begins a text.

    The names of `weights` are GGUF's own, as the network is built with them.
    """
    with needed("gguf", "llama"):
        import gguf
    vocabulary, width = weights["token_embd.weight"].shape
    with refusals(f"{target}: it cannot be written as GGUF"):
        writer = gguf.GGUFWriter(str(target), "llama")
        writer.add_name("edgebench byte_llama")
        writer.add_file_type(gguf.LlamaFileType.ALL_F32)
        writer.add_context_length(LLAMA_CONTEXT)
        writer.add_embedding_length(width)
        writer.add_block_count(LLAMA_LAYERS)
        writer.add_feed_forward_length(weights["blk.0.ffn_up.weight"].shape[0])
        writer.add_head_count(LLAMA_HEADS)
        writer.add_head_count_kv(LLAMA_HEADS)
        writer.add_layer_norm_rms_eps(LLAMA_EPSILON)
        writer.add_rope_dimension_count(width // LLAMA_HEADS)
        writer.add_rope_freq_base(LLAMA_ROTARY_BASE)
        writer.add_vocab_size(vocabulary)
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_list([f"<0x{byte:02X}>" for byte in range(vocabulary)])
        writer.add_token_scores([0.0] * vocabulary)
        writer.add_token_types([gguf.TokenType.BYTE] * vocabulary)
        writer.add_add_bos_token(False)  # noqa: FBT003  # the package's own signature
        writer.add_add_space_prefix(False)  # noqa: FBT003
        for name, array in weights.items():
            writer.add_tensor(name, array)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def quantise_gguf(source: Path, target: Path, step: str, threads: int) -> None:
    """Write `target`, the GGUF `source` in the format of a step (``fp16``, ``q4_k_m``), by `llama_model_quantize`."""
    with needed("llama-cpp-python", "llama"):
        import llama_cpp
    log = log_of(llama_cpp)
    params: Any = llama_cpp.llama_model_quantize_default_params()
    params.nthread = threads
    params.ftype = _F16 if step == "fp16" else getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{step.upper()}")
    with refusals(f"{source}: llama.cpp cannot quantise it"):
        code = llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(params))
    if code:
        raise CompressionError(f"{source}: llama.cpp cannot quantise it to {step} ({log.why()}): choose another format")

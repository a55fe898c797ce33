"""Weights of matrix products in 8 or 4 bits; what they are multiplied in, the runtime chooses."""

from __future__ import annotations

from pathlib import Path

from edgebench.compress.boundary import needed, refusals
from edgebench.compress.quantise import nncf_quietly
from edgebench.compress.quiet import quiet
from edgebench.errors import InapplicableError

# Weights that share a scale in ONNX Runtime, and in NNCF's 4 bits. It divides every width of the zoo's transformers
# (192, 256 and theirs).
BLOCK = 64
BITS = 8
# Bytes of weights that an ONNX file holds itself: it ends at two gigabytes.
_MOST_INSIDE = 1 << 30


def compress_openvino(source: Path, target: Path, bits: int = BITS) -> None:
    """Write `target`, the IR `source` with weights in 8 or 4 bits by NNCF, asymmetric.

    In 8 bits one scale an output channel; in 4 one for BLOCK weights, and embeddings and the last layer in 8, as is
    NNCF's default.
    """
    import openvino

    with nncf_quietly() as nncf:
        modes = nncf.CompressWeightsMode
        chosen = {"mode": modes.INT8_ASYM} if bits == BITS else {"mode": modes.INT4_ASYM, "group_size": BLOCK}
        # Read here: an architecture's arrow keeps this room from the backends.
        model = nncf.compress_weights(openvino.Core().read_model(source), **chosen)
    openvino.save_model(model, target, compress_to_fp16=False)


def compress_onnx(source: Path, target: Path) -> None:
    """Write `target`, the ONNX file `source` with MatMul weights in 8 bits by ONNX Runtime (blocks of BLOCK).

    Convolutions and Gemm nodes keep FP32 weights. Large weights lie beside it, in `target` with ``.data`` behind it.
    Raises CompressionError, InapplicableError for a model without such a product.
    """
    with needed("onnxruntime and onnx", "onnxruntime"):
        import onnx
        from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    with refusals(f"{source}: ONNX Runtime cannot quantise it"), quiet():
        quantiser = MatMulNBitsQuantizer(onnx.load(source), bits=BITS, block_size=BLOCK, is_symmetric=False)
        quantiser.process()
        inside = sum(len(tensor.raw_data) for tensor in quantiser.model.model.graph.initializer)
        quantiser.model.save_model_to_file(str(target), use_external_data_format=inside > _MOST_INSIDE)
    kinds = {node.op_type for node in onnx.load(target, load_external_data=False).graph.node}
    if "MatMulNBits" not in kinds:
        raise InapplicableError("the model has no matrix product whose weights could be INT8: choose another variant")

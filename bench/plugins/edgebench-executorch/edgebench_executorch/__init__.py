"""ExecuTorch as a backend of edgebench: the rows that its entry points name; no runtime is imported for them."""

from __future__ import annotations

from edgebench.backends.families import Family
from edgebench.backends.row import ANYWHERE, IN_THE_FILE, BackendRow

FAMILY = Family(
    "pte",
    ".",
    ("torch", "executorch", "torchao"),
    steps=("ptq-static",),
    links="edgebench_executorch.links",
    fixed=True,
    own=("pte",),
    preload={None: ("executorch.exir",), "ptq-static": ("torchao.quantization.pt2e",)},
    suffix=".pte",
    reader="edgebench_executorch.files",
)

ROW = BackendRow(
    "executorch",
    "ExecuTorch",
    "edgebench_executorch.backend:ExecuTorchBackend",
    family="pte",
    formats=("pte",),
    precisions={"fp32": ANYWHERE, "int8": IN_THE_FILE},
    unable="edgebench_executorch.backend:unable",
    opens="`.pte`",
    install="`edgebench-executorch`",
    uncompiled="what its delegate prepares is part of the first inference",
    pass_s=0.005,
    start_s=5.0,
)

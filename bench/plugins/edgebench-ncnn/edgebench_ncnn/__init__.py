"""ncnn as a backend of edgebench: the rows that its entry points name; no runtime is imported for them."""

from __future__ import annotations

from edgebench.backends.families import Family
from edgebench.backends.row import ANYWHERE, IN_THE_FILE, BackendRow, Need

FAMILY = Family(
    "ncnn",
    ".",
    ("torch", "pnnx"),
    steps=("fp16",),
    links="edgebench_ncnn.links",
    fixed=True,
    own=("ncnn",),
    suffix=".param",
    reader="edgebench_ncnn.files",
)

ROW = BackendRow(
    "ncnn",
    "ncnn",
    "edgebench_ncnn.backend:NcnnBackend",
    family="ncnn",
    formats=("ncnn",),
    precisions={
        "fp32": ANYWHERE,
        "fp16": Need(file=True, ask="edgebench_ncnn.backend:why_not_halved"),
        "bf16": ANYWHERE,
        "int8": IN_THE_FILE,
    },
    unable="edgebench_ncnn.backend:unable",
    opens="`.param` with its `.bin`",
    install="`edgebench-ncnn`; its extra `convert` makes the files",
    pass_s=0.004,
    start_s=1.0,
)

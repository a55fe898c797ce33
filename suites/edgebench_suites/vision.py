"""torchvision, imported where its compiled operators do not fit, and without torch's compiler."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

_COMPILER, _UTILITIES = "torch._dynamo", "torch._dynamo.utils"
# The definition lives as long as this object; keeping it here keeps torchvision importable.
_operators: list[Any] = []


def import_torchvision() -> ModuleType:
    """Import torchvision, also where its compiled operators do not fit a CPU build of torch.

    There the import fails with "operator torchvision::nms does not exist" although the classifiers need no compiled
    operator: the two missing schemas are declared and the import is tried again. Only then.
    """
    try:
        with _without_compiler():
            import torchvision
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        import torch

        _forget()
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _operators.append(library)
        with _without_compiler():
            import torchvision
    except (ImportError, AttributeError):
        # Another release asks more of the compiler while it is imported.
        _forget()
        import torchvision
    return torchvision  # type: ignore[no-any-return]  # torchvision ships no types


@contextlib.contextmanager
def _without_compiler() -> Iterator[None]:
    """Let torchvision be imported without torch's compiler, which one of its operators asks one question when it runs.

    The compiler takes 1.6 s and 68 MB to import (torchvision 0.28 on torch 2.13), in every process that measures torch
    without it. Where it was imported already it stays; where it is asked later it is imported then.
    """
    if _COMPILER in sys.modules:
        yield
        return
    compiler, utilities = ModuleType(_COMPILER), ModuleType(_UTILITIES)
    compiler.__path__ = []
    vars(utilities)["is_compile_supported"] = _is_compile_supported
    sys.modules |= {_COMPILER: compiler, _UTILITIES: utilities}
    try:
        yield
    finally:
        for name, stand_in in ((_COMPILER, compiler), (_UTILITIES, utilities)):
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]


def _is_compile_supported(device_type: str) -> bool:
    from torch._dynamo.utils import is_compile_supported

    return bool(is_compile_supported(device_type))


def _forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]

"""`measure`: the energy of a block or of a function's calls. Public as `edgebench_probes.measure`."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path
from types import MethodType, TracebackType
from typing import Any, Generic, ParamSpec, TypeVar, overload

from edgebench_probes.base import Probe, ProbeError
from edgebench_probes.blocks import Request, block
from edgebench_probes.opening import OpenProbes
from edgebench_probes.reading import Measured

P = ParamSpec("P")
R = TypeVar("R")


class Measurement(AbstractContextManager["Measured"]):
    """What `measure()` returns: enter it with `with`, or put it before a function with `@`."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._running: tuple[AbstractContextManager[Measured], Measured] | None = None

    def __enter__(self) -> Measured:
        if self._running is not None:
            raise ProbeError("this measurement is running already", "call measure() once for each block")
        running = block(self._request)
        measured = running.__enter__()
        self._running = running, measured
        return measured

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._running is None:
            return
        (running, measured), self._running = self._running, None
        running.__exit__(kind, error, tb)
        if self._request.then is not None and kind is None:
            self._request.then(measured)

    def __call__(self, function: Callable[P, R]) -> MeasuredFunction[P, R]:
        """Return the function with every call of it measured."""
        return MeasuredFunction(function, self._request)


class MeasuredFunction(Generic[P, R]):
    """A function whose calls are measured; `measured` is the result of the last call that returned."""

    def __init__(self, function: Callable[P, R], request: Request) -> None:
        kinds = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
        if any(kind(function) for kind in kinds):
            raise TypeError(f"{function!r} works after its call has returned: write `with measure():` inside it")
        functools.update_wrapper(self, function)
        self._function, self._request = function, request
        self.measured: Measured | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function and measure it; returns what it returns. Raises ProbeError before the call."""
        with Measurement(self._request) as measured:
            result = self._function(*args, **kwargs)
        self.measured = measured
        return result

    def __get__(self, instance: object, owner: type | None = None) -> Callable[..., R]:
        return self if instance is None else MethodType(self, instance)


@overload
def measure(function: Callable[P, R], /) -> MeasuredFunction[P, R]: ...
@overload
def measure(
    *probes: str | Probe | OpenProbes,
    idle_s: float = 0.0,
    sysfs: str | Path | None = None,
    workload_cpus: Collection[int] = (),
    then: Callable[[Measured], object] | None = None,
) -> Measurement: ...
def measure(
    *probes: Any,
    idle_s: float = 0.0,
    sysfs: str | Path | None = None,
    workload_cpus: Collection[int] = (),
    then: Callable[[Measured], object] | None = None,
) -> Any:
    """Measure the energy of a block or, as a decorator, of each call of a function.

    `probes` are specifications such as `rapl?scope=package`, or probes that are open (they stay so, which makes many
    short blocks cheap), one by one or as `open` returns them. Without any: those of EDGEBENCH_PROBE, else the native
    source of this machine. With `idle_s` the machine is left alone for so many seconds before and again after the
    block, and each reading has its energy above idle too. `then` gets the result of each block that ended well.
    Samplers keep off `workload_cpus`. `sysfs` is where sysfs is mounted (default: EDGEBENCH_SYSFS, else /sys).

    Raises ProbeError before the block for what was asked for and cannot be had. What fails within the block, and
    scopes that read nothing beside others that do, are in the result's `missing` with their reasons.
    """
    if len(probes) == 1 and inspect.isroutine(probes[0]):
        return MeasuredFunction(probes[0], Request())
    wrong = [one for one in probes if not isinstance(one, str | Probe | OpenProbes)]
    if wrong:
        raise TypeError(f"measure takes specifications and open probes, not {type(wrong[0]).__name__}")
    if not (math.isfinite(idle_s) and idle_s >= 0):
        raise ValueError(f"idle_s is a number of seconds, not {idle_s}")
    groups = [one for one in probes if isinstance(one, OpenProbes)]
    opened = [*(one for one in probes if isinstance(one, Probe)), *chain.from_iterable(groups)]
    request = Request(
        specs=tuple(one for one in probes if isinstance(one, str)),
        probes=tuple(opened),
        missing=tuple(finding for group in groups for finding in group.missing),
        idle_s=idle_s,
        sysfs=sysfs,
        workload_cpus=tuple(workload_cpus),
        then=then,
    )
    return Measurement(request)

"""The CUDA driver and runtime through ctypes: what L4T and every CUDA installation ship, and nothing more.

cuda-python is no part of L4T and torch is larger than all the rest, so the few calls an engine needs (memory, copies, a
stream, events) go to libcudart directly. What was run where: docs/jetson.md.
"""

from __future__ import annotations

import ctypes
import math
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_size_t, c_void_p
from ctypes.util import find_library
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.errors import BackendError

if TYPE_CHECKING:
    from edgebench.backends.base import Array

TO_DEVICE, TO_HOST = 1, 2  # cudaMemcpyKind
_MAJOR, _MINOR = 75, 76  # cudaDevAttrComputeCapabilityMajor, …Minor
_NAMES = ("libcudart.so", "libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0")
# cudaDeviceProp has grown from release to release; the name is its first field in all of them.
_PROPERTIES_BYTES, _NAME_BYTES = 16384, 256


def why_no_gpu() -> str | None:
    """Say why no NVIDIA GPU can be used here, or None. Asks the driver only."""
    advice = "use a machine with an NVIDIA GPU, or give the container one (--gpus all; on a Jetson --runtime nvidia)"
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return f"no NVIDIA driver (libcuda.so.1) is here: {advice}"
    count = c_int(0)
    if (code := driver.cuInit(0)) or (code := driver.cuDeviceGetCount(byref(count))) or count.value < 1:
        return f"the NVIDIA driver finds no GPU (CUDA error {code}): {advice}"
    return None


class Cudart:
    """libcudart with its errors as BackendError; all work is on the current device."""

    def __init__(self) -> None:
        self._lib = _open()
        self._lib.cudaGetErrorString.restype = c_char_p
        self._lib.cudaMalloc.argtypes = [POINTER(c_void_p), c_size_t]
        self._lib.cudaFree.argtypes = [c_void_p]
        self._lib.cudaMemcpyAsync.argtypes = [c_void_p, c_void_p, c_size_t, c_int, c_void_p]
        self._lib.cudaStreamCreate.argtypes = [POINTER(c_void_p)]
        self._lib.cudaStreamSynchronize.argtypes = [c_void_p]
        self._lib.cudaEventCreate.argtypes = [POINTER(c_void_p)]
        self._lib.cudaEventRecord.argtypes = [c_void_p, c_void_p]
        self._lib.cudaEventSynchronize.argtypes = [c_void_p]
        self._lib.cudaEventElapsedTime.argtypes = [POINTER(c_float), c_void_p, c_void_p]
        # The context is made by the first call; a process may hold a device that another made current.
        self._call("cudaFree", None)

    def _call(self, name: str, *arguments: Any) -> None:
        if code := getattr(self._lib, name)(*arguments):
            reason = self._lib.cudaGetErrorString(code).decode(errors="replace")
            raise BackendError(f"CUDA refuses {name} ({reason}): check the GPU's free memory and the driver")

    def device(self) -> tuple[str, str]:
        """Return the GPU's name and compute capability, as ``Orin`` and ``8.7``."""
        number = c_int(0)
        self._call("cudaGetDevice", byref(number))
        buffer = ctypes.create_string_buffer(_PROPERTIES_BYTES)
        newest = "cudaGetDeviceProperties_v2"
        self._call(newest if hasattr(self._lib, newest) else "cudaGetDeviceProperties", buffer, number)
        version = []
        for attribute in (_MAJOR, _MINOR):
            value = c_int(0)
            self._call("cudaDeviceGetAttribute", byref(value), attribute, number)
            version.append(str(value.value))
        return buffer.raw[:_NAME_BYTES].split(b"\0", 1)[0].decode(errors="replace"), ".".join(version)

    def runtime_version(self) -> str:
        """Return the runtime's version, as ``12.6``."""
        value = c_int(0)
        self._call("cudaRuntimeGetVersion", byref(value))
        return f"{value.value // 1000}.{value.value % 1000 // 10}"

    def allocate(self, size: int) -> int:
        """Return the address of `size` bytes of device memory; they live as long as the process."""
        pointer = c_void_p()
        self._call("cudaMalloc", byref(pointer), max(1, size))
        return int(pointer.value or 0)

    def stream(self) -> int:
        """Return the handle of a new stream."""
        handle = c_void_p()
        self._call("cudaStreamCreate", byref(handle))
        return int(handle.value or 0)

    def upload(self, address: int, array: Array, stream: int) -> None:
        """Copy a contiguous array to the device and wait for it."""
        self._call("cudaMemcpyAsync", address, array.ctypes.data, array.nbytes, TO_DEVICE, stream)
        self.wait(stream)

    def download(self, array: Array, address: int, stream: int) -> None:
        """Fill a contiguous array from the device and wait for it."""
        self._call("cudaMemcpyAsync", array.ctypes.data, address, array.nbytes, TO_HOST, stream)
        self.wait(stream)

    def wait(self, stream: int) -> None:
        """Wait until everything in the stream is done."""
        self._call("cudaStreamSynchronize", stream)

    def event(self) -> int:
        """Return the handle of a new event."""
        handle = c_void_p()
        self._call("cudaEventCreate", byref(handle))
        return int(handle.value or 0)

    def record(self, event: int, stream: int) -> None:
        """Put an event into the stream."""
        self._call("cudaEventRecord", event, stream)

    def seconds_between(self, first: int, second: int) -> float:
        """Return the GPU's time between two recorded events (resolution about 0.5 µs), once the second has passed."""
        self._call("cudaEventSynchronize", second)
        milliseconds = c_float(math.nan)
        self._call("cudaEventElapsedTime", byref(milliseconds), first, second)
        return milliseconds.value / 1000


def _open() -> ctypes.CDLL:
    """Open the runtime: the system's, CUDA's own folder, or the one that wheels bring."""
    places = [*_NAMES, "/usr/local/cuda/lib64/libcudart.so"]
    if found := find_library("cudart"):
        places.insert(0, found)
    for package in ("nvidia.cu13", "nvidia.cuda_runtime"):
        try:
            spec = find_spec(package)
        except ModuleNotFoundError:
            continue
        for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
            places += map(str, sorted(Path(folder).glob("lib/libcudart.so*")))
    for place in places:
        try:
            return ctypes.CDLL(place)
        except OSError:
            continue
    raise BackendError(
        "libcudart is not here: install CUDA's runtime (on a Jetson it comes with L4T), or give its image"
    )

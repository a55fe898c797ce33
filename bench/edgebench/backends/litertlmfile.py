"""What a container of LiteRT-LM (`.litertlm`) says of itself, read as bytes before the runtime opens it.

A header (magic, version, where it ends, a flatbuffer) tells where its sections lie; the schema is that of
github.com/google-ai-edge/LiteRT-LM (schema/core/litertlm_header_schema.fbs, runtime/proto/llm_metadata.proto).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edgebench.backends.boundary import check_file
from edgebench.backends.flatbuffer import root
from edgebench.backends.wire import DamagedError, fields, varint
from edgebench.errors import BackendError

_MAGIC, _VERSION = b"LITERTLM", 1
# Of the file: where the header's end is told, and where its flatbuffer begins.
_END, _BEGIN = 24, 32
_MOST_HEADER, _MOST_METADATA = 1 << 20, 16 << 20
# AnySectionDataType: a model, and what the engine is told of it.
_MODEL, _METADATA = 3, 5
# The value of a model's `model_type` (a string among the values of an item): the one that reads and answers.
_LEADS, _TEXT = "tf_lite_prefill_decode", 9
_MAX_TOKENS = 5
_AGAIN = "export it again"


@dataclass(frozen=True, slots=True)
class Container:
    """Where the graph that reads and answers lies, and for how many tokens it was made; None where that is not told."""

    graph: range
    context: int | None


def read_container(path: Path) -> Container:
    """Return what a container says; raises BackendError with one sentence for a damaged one or another file."""
    check_file(path)
    size = path.stat().st_size
    try:
        with path.open("rb") as stream:
            head = stream.read(_BEGIN)
            if not head.startswith(_MAGIC):
                raise BackendError(f"{path} is no container of LiteRT-LM: give a .litertlm file")
            (version,), (end,) = struct.unpack_from("<I", head, len(_MAGIC)), struct.unpack_from("<Q", head, _END)
            if version != _VERSION:
                raise BackendError(f"{path} is a container of version {version}, and {_VERSION} is read: {_AGAIN}")
            if not _BEGIN < end <= min(size, _MOST_HEADER):
                raise BackendError(f"{path} is damaged (its header ends at {end} of {size} bytes): {_AGAIN}")
            sections = _sections(stream.read(end - _BEGIN), size)
            graphs = [place for kind, place, leads in sections if kind == _MODEL and leads]
            told = [place for kind, place, _ in sections if kind == _METADATA]
            if not graphs or not told:
                raise BackendError(f"{path} holds no language model (prefill and decode, and metadata): {_AGAIN}")
            return Container(graphs[0], _context(_read(stream, told[0], _MOST_METADATA)))
    except OSError as error:
        raise BackendError(f"{path}: cannot be read ({error.strerror}): check its permissions") from None
    except (struct.error, IndexError, DamagedError, ValueError, OverflowError):
        raise BackendError(f"{path} is damaged (its sections cannot be read): {_AGAIN}") from None


def graph_of(path: Path) -> bytes:
    """Return the graph that reads and answers, a whole .tflite; raises BackendError, OSError."""
    place = read_container(path).graph
    with path.open("rb") as stream:
        return _read(stream, place, len(place))


def _sections(header: bytes, size: int) -> list[tuple[int, range, bool]]:
    """Return the kind of each section, where it lies, and whether it is the model that leads."""
    found: list[tuple[int, range, bool]] = []
    # LiteRTLMMetaData: sections 1; SectionMetadata: objects 0; SectionObject: items 0, begin 1, end 2, type 3.
    if (listed := root(header).table(1)) is None:
        return found
    for section in listed.tables(0):
        place = range(section.number(1, "<Q"), section.number(2, "<Q"))
        if not 0 < len(place) <= size - place.start:
            raise IndexError(place.start)
        # KeyValuePair: value's type 1, value 2; StringValue: value 0.
        texts = (item.table(2) for item in section.tables(0) if item.number(1, "<B") == _TEXT)
        leads = any(text is not None and text.text(0).lower() in (_LEADS, "prefill_decode") for text in texts)
        found.append((section.number(3, "<B"), place, leads))
    return found


def _read(stream: BinaryIO, place: range, most: int) -> bytes:
    if len(place) > most:
        raise IndexError(place.stop)
    stream.seek(place.start)
    data = stream.read(len(place))
    if len(data) != len(place):
        raise IndexError(place.stop)
    return data


def _context(metadata: bytes) -> int | None:
    for number, start, stop in fields(metadata, 0, len(metadata)):
        if number == _MAX_TOKENS:
            told, _ = varint(metadata, start, stop)
            return told if 0 < told < 1 << 31 else None
    return None

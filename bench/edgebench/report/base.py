"""What every part of a report is built of: bounded types, and the base that keeps what it does not know."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
)
from pydantic_core import PydanticCustomError

T = TypeVar("T")
Name = Annotated[str, StringConstraints(min_length=1, max_length=400)]
Text = Annotated[str, StringConstraints(max_length=20_000)]
# A commit of git, in whole or cut short; "-dirty" as in `git describe`: files of it had been changed.
COMMIT: Final = r"^[0-9a-f]{7,64}(-dirty)?$"
Commit = Annotated[str, StringConstraints(pattern=COMMIT)]
Amount = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
# Values are strictly typed; only the container is lenient, because JSON has lists where Python prefers tuples.
Few = Annotated[tuple[T, ...], Field(strict=False, max_length=10_000)]
Many = Annotated[tuple[T, ...], Field(strict=False, max_length=1_000_000)]
Pair = Annotated[tuple[float, float], Field(strict=False)]
Table = Annotated[dict[Name, T], Field(max_length=10_000)]


# The parameters that tables are made of; all others are kept as they are.
_TEXTS = frozenset({"model", "variant", "backend", "precision", "isa", "operator", "task", "data", "weights"})
_NUMBERS = frozenset({"batch", "threads", "width", "image_size", "tokens", "passes", "processes", "sustained_s"})


def _plain(params: dict[str, JsonValue]) -> dict[str, JsonValue]:
    for name, value in params.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        wrong = (name in _TEXTS and not isinstance(value, str)) or (name in _NUMBERS and not number)
        if wrong and value is not None:
            kind = "text" if name in _TEXTS else "number"
            raise PydanticCustomError("param", "{name} is no {kind}", {"name": name, "kind": kind})
    return params


Params = Annotated[Table[JsonValue], AfterValidator(_plain)]


class Part(BaseModel):
    """Base of every part of a report: frozen, strict, finite numbers only, unknown fields kept."""

    model_config = ConfigDict(
        extra="allow",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        populate_by_name=True,
        serialize_by_alias=True,
        hide_input_in_errors=True,
        # A part's own checks are made when it is first read alone: a whole report has them in its own.
        defer_build=True,
    )
    nullable: ClassVar[frozenset[str]] = frozenset()  # declared fields that the report writes as null

    @model_serializer(mode="wrap")
    def _without_none(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out declared fields that are None; a null in a field unknown here is the writer's and stays."""
        optional = type(self).model_fields.keys() - self.nullable
        return {key: value for key, value in handler(self).items() if value is not None or key not in optional}

"""The root of the wire records, the root of their pieces, and their bytes: the one JSON of a value.

Knows no record.
"""

import hashlib
import json
from functools import cache
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

Json = dict[str, Any]

_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


class Record(BaseModel):
    """Root of the wire records; `kind` and `v` open every encoded one.

    A record keeps the version that it was written in, and is written in it again: a recipe's bytes
    name its weights, so no later build may change them. A new version only adds fields: each with a
    default, and named in ADDED, a field of a part by its path, "sampling.top_k"; or it adds what a
    field may say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    KIND: ClassVar[str]
    VERSION: ClassVar[int] = 1
    ADDED: ClassVar[dict[str, int]] = {}  # path of a field → the version that brought it

    v: int = Field(default=0, ge=1, validate_default=False, description="version, newest if none")

    @property
    def made_in(self) -> int:
        """The version that a record gets when it is made here."""
        return self.VERSION

    def model_post_init(self, _: Any) -> None:
        """Write its version into a record that is made here."""
        if self.v == 0:
            object.__setattr__(self, "v", self.made_in)


class Part(BaseModel):
    """A piece of a record."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def canonical_json(value: Any) -> bytes:
    """The one JSON of a value: sorted keys, no spaces, UTF-8, no NaN."""
    # JSON can escape half a surrogate pair, and a client's tool call may hold one; json.loads reads
    # it back.
    return _CANONICAL.encode(value).encode(errors="surrogatepass")


def id_of(*names: object) -> str:
    """Return an id that follows from names: whoever makes the record again makes the same one.

    >>> id_of("collapse", 7) == id_of("collapse", "7") != id_of("collapse 7")
    True
    """
    return hashlib.sha256("\0".join(map(str, names)).encode()).hexdigest()[:32]


def encode(record: Record) -> bytes:
    """Return a record's canonical bytes, in its own version.

    >>> from streams.recipe import Mask
    >>> encode(Mask(base="b", neurons={3: [1]}, groups={}))
    b'{"base":"b","groups":{},"kind":"mask","neurons":{"3":[1]},"v":1}'
    """
    body = record.model_dump(mode="json", exclude=_later(type(record), record.v))
    return canonical_json({"kind": record.KIND, **body})


@cache
def _later(record_type: type[Record], version: int) -> dict[str, Any]:
    """What a version of a record does not have yet, as pydantic's nested `exclude`."""
    excluded: dict[str, Any] = {}
    for path, added in record_type.ADDED.items():
        if added > version:
            *parts, name = path.split(".")
            place = excluded
            for part in parts:
                place = place.setdefault(part, {})
            place[name] = True
    return excluded

"""JSON schemas as clients send them: made into those of arguments, and searched for what is wrong.

Knows nothing of how schemas are kept to.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from streams.records import Json

MAX_TRIED: Final = 200  # parts: a client waits for the answer, and each is compiled
_SCHEMA: Final = ("items", "additionalProperties", "not", "contains", "propertyNames", "if",
                  "then", "else")  # fmt: skip
_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_NAMED: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
# What a reference of a part may point to, which is so kept beside it.
_SHARED: Final = ("$defs", "definitions")
# What decides by itself which properties an object has.
_DECIDES: Final = ("additionalProperties", "patternProperties", "allOf", "anyOf", "oneOf", "$ref",
                   "unevaluatedProperties")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Faulty:
    """A part of a schema that cannot be kept to. path: such as properties.city"""

    path: str
    why: str


def of_arguments(parameters: Json | None) -> Json:
    """The schema of a tool's arguments: an object that has no properties but those that are named.

    What a function does not name it cannot take, and small models make properties up. One that
    says nothing of parameters has none, as in OpenAI's API; {"type": "object"} is any object.

    >>> of_arguments(None) == of_arguments({}) == of_arguments({"properties": {}})
    True
    >>> of_arguments({"properties": {}})["additionalProperties"], of_arguments({"type": "object"})
    (False, {'type': 'object'})
    """
    schema: Json = {"type": "object"} | (parameters or {"properties": {}})
    if "properties" in schema and not any(name in schema for name in _DECIDES):
        schema["additionalProperties"] = False
    return schema


def faulty_part(schema: Json, fails: Callable[[Json], str | None]) -> Faulty | None:
    """Find the innermost part that fails as the whole schema does; None when that does not fail.

    fails: why a schema cannot be kept to; None: it can
    """
    why = fails(schema)
    if why is None:
        return None
    shared: Json = {name: schema[name] for name in _SHARED if name in schema}
    path, tried = "schema", 0
    inner = iter(_parts(schema))
    while tried < MAX_TRIED and (each := next(inner, None)) is not None:
        tried += 1
        name, part = each
        if fails({**shared, **part}) == why:
            path, inner = f"{path}.{name}", iter(_parts(part))
    return Faulty(path, why)


def _parts(schema: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
    """The schemas that a schema is made of, each with where it stands."""
    for name, value in schema.items():
        if name in _SCHEMA and isinstance(value, dict):
            yield name, value
        elif name in _LISTS and isinstance(value, list):
            yield from (
                (f"{name}[{n}]", each) for n, each in enumerate(value) if isinstance(each, dict)
            )
        elif name in _NAMED and isinstance(value, dict):
            yield from (
                (f"{name}.{key}", each) for key, each in value.items() if isinstance(each, dict)
            )

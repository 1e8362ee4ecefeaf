"""JSON schemas as clients send them: made into those of arguments, and searched for what is wrong.

Knows nothing of how schemas are kept to.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeGuard

from streams.records import Json

MAX_TRIED: Final = 200  # parts: a client waits for the answer, and each is compiled
_SCHEMA: Final = ("items", "additionalProperties", "not", "contains", "propertyNames", "if",
                  "then", "else")  # fmt: skip
_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
NAMED: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
# Ways on behind each property of such an object: at the most, masks take tenths of a second.
MAX_OPTIONAL: Final = 2000
# What a reference of a part may point to, which is so kept beside it.
_SHARED: Final = ("$defs", "definitions")
# What decides by itself which properties an object has.
_DECIDES: Final = ("additionalProperties", "patternProperties", "allOf", "anyOf", "oneOf", "$ref",
                   "unevaluatedProperties")  # fmt: skip

# Where a part stands: in which, and at what name or number there; None: it is the whole.
Place: TypeAlias = "tuple[Place, str | int] | None"


@dataclass(frozen=True, slots=True)
class Faulty:
    """A part of a schema that cannot be kept to. path: such as properties.city"""

    path: str
    why: str


def path(place: Place) -> str:
    """Write out where a part stands.

    Only of one that is told: were it written for each, all within a long name would copy it.

    >>> path(((None, "anyOf"), 0))
    'schema.anyOf[0]'
    """
    steps: list[str] = []
    while place is not None:
        place, step = place
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "schema" + "".join(reversed(steps))


def of_arguments(parameters: Json | None) -> Json:
    """The schema of a tool's arguments: an object that has no properties but those that are named.

    What a function does not name it cannot take, and small models make properties up. One that
    says nothing of parameters has none, as in OpenAI's API; {"type": "object"} is any object. Where
    more are demanded than are named, others may come: no object would be valid else. Of several
    types the object counts alone: a call's arguments are one.

    >>> of_arguments(None) == of_arguments({}) == of_arguments({"properties": {}})
    True
    >>> of_arguments({"properties": {}})["additionalProperties"], of_arguments({"type": "object"})
    (False, {'type': 'object'})
    >>> of_arguments({"type": ["object", "null"]})
    {'type': 'object'}
    """
    schema: Json = {"type": "object"} | (parameters or {"properties": {}})
    if _lists(schema["type"]) and "object" in schema["type"]:
        schema["type"] = "object"
    if (
        "properties" in schema
        and not any(name in schema for name in _DECIDES)
        and not _demands_others(schema)
    ):
        schema["additionalProperties"] = False
    return schema


def _demands_others(schema: Json) -> bool:
    """Whether an object needs properties beside those that are named."""
    named, required = schema["properties"], schema.get("required")
    names = named.keys() if isinstance(named, dict) else set[str]()
    needed = {name for name in required if isinstance(name, str)} if _lists(required) else set()
    least = schema.get("minProperties")
    return not needed <= names or (isinstance(least, int) and least > len(names))


def faulty_part(
    schema: Json, fails: Callable[[Json], str | None], has_time: Callable[[], bool]
) -> Faulty | None:
    """Find the innermost part that fails as the whole schema does; None when that does not fail.

    fails: why a schema cannot be kept to; None: it can
    has_time: whether to search on; otherwise what has been found so far is told
    """
    why = fails(schema)
    if why is None:
        return None
    shared: Json = {name: schema[name] for name in _SHARED if name in schema}
    place: Place = None
    tried = 0
    inner = iter(_parts(schema))
    while tried < MAX_TRIED and has_time() and (each := next(inner, None)) is not None:
        tried += 1
        name, part = each
        if fails({**shared, **part}) == why:
            place, inner = (place, name), iter(_parts(part))
    return Faulty(path(place), why)


def crowded_part(schema: Json) -> Faulty | None:
    """Find a part in which more properties in a row may be left out than can be followed.

    Any of them may come next then, which shows in the midst of a reply, and not before.
    """
    waiting: list[tuple[Place, Json]] = [(None, schema)]
    known = dict[str, int]()
    while waiting:
        place, part = waiting.pop()
        try:
            number = _optional(part, schema, known)
        except RecursionError:
            return Faulty(path(place), "its references go on from one to the next too often")
        if number > MAX_OPTIONAL:
            why = f"{number} properties in a row may be left out: name some of them as required"
            return Faulty(path(place), f"{why}, or have at most {MAX_OPTIONAL}")
        waiting += [((place, name), inner) for name, inner in _parts(part)]
    return None


def _optional(part: Json, whole: Json, known: dict[str, int]) -> int:
    """How many properties in a row may be left out of an object, those of its choices together.

    known: the same of what references point to, as far as it has been counted
    """
    properties, required = part.get("properties"), part.get("required")
    needed = {name for name in required if isinstance(name, str)} if _lists(required) else ()
    number = row = 0
    for name in properties if isinstance(properties, dict) else ():
        row = 0 if name in needed else row + 1
        number = max(number, row)
    for choices in (part.get("anyOf"), part.get("oneOf"), part.get("allOf")):
        for each in choices if _lists(choices) else ():
            number += _optional(each, whole, known) if isinstance(each, dict) else 0
    target = part.get("$ref")
    if isinstance(target, str) and target not in known:
        known[target] = 0  # for what refers to itself
        referred = _referred(target, whole)
        known[target] = _optional(referred, whole, known) if isinstance(referred, dict) else 0
    return number + (known[target] if isinstance(target, str) else 0)


def _lists(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _referred(target: str, whole: Json) -> Any:
    """What a reference within a schema points to; None: nothing that is there."""
    value: Any = whole
    for name in target.removeprefix("#").strip("/").split("/"):
        if name:
            value = value.get(name) if isinstance(value, dict) else None
    return value


def _parts(schema: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
    """The schemas that a schema is made of, each with where it stands."""
    for name, value in schema.items():
        if name in _SCHEMA and isinstance(value, dict):
            yield name, value
        elif name in _LISTS and isinstance(value, list):
            yield from (
                (f"{name}[{n}]", each) for n, each in enumerate(value) if isinstance(each, dict)
            )
        elif name in NAMED and isinstance(value, dict):
            yield from (
                (f"{name}.{key}", each) for key, each in value.items() if isinstance(each, dict)
            )

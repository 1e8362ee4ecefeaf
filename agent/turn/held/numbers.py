"""Numbers in a client's schema: which of them can be kept to, and at what cost.

Multiples are followed digit by digit, with a state for each remainder, and all of these before the
first token; those that must hold together have a state for each remainder of their least common
multiple. Bounds are doubles, and those of integers have 64 bits.

Knows nothing of what else a schema says.
"""

import json
import math
import re
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from typing import Any, Final, Literal, TypeGuard
from urllib.parse import unquote

from agent.turn.held.schema import NAMED, Faulty, Place, path
from streams.records import Json

# Together, digits without zeros at the end: half a second of a processor. Multiplied, two of them
# fit the 32 bits that they are multiplied in.
MAX_REMAINDERS: Final = 2**16 - 1
# Up to here each whole number is a double, and one more or less is another.
_EXACT: Final = 2**53
# The largest double that fits a signed integer of 64 bits, and the largest of these, to which what
# bounds an integer from above is cut anyway.
MAX_BOUND: Final = 2**63 - 1024
_MAX_INTEGER: Final = 2**63 - 1
_VALUES: Final = ("const", "enum", "default", "examples")
# Where parts hold together: several of allOf, and what stands beside one that names another.
_MAY_MEET: Final = frozenset({"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf"})
_NOTES: Final = frozenset({"title", "description", "default", "examples", "$defs", "definitions",
                           "$schema", "$id", "id", "$comment", "deprecated"})  # fmt: skip
_IN_LARK: Final = re.compile(r"%json\s*(?=\{)")
_SIDES: Final = (("minimum", "exclusiveMinimum", 1), ("maximum", "exclusiveMaximum", -1))

_Kind = Literal["schema", "names", "value"]


def unkept_number(schema: Json) -> Faulty | None:
    """Find a number that cannot be kept to, or a multiple that takes too long to follow."""
    found = _costly(schema)
    if found is not None:
        return found
    for place, part, kind in _parts(schema):
        for name, bound in _bounds(part).items() if kind == "schema" else ():
            if bound is None:
                return Faulty(path((place, name)), "it is beyond what a number of 64 bits holds")
    return None


def unkept_in_lark(grammar: str) -> Faulty | None:
    """Find the same in the schemas within a grammar in Lark's form."""
    for found in _IN_LARK.finditer(grammar):  # within others, too: one may begin in a comment
        try:
            schema, _ = json.JSONDecoder().raw_decode(grammar, found.end())
        except ValueError:  # of a comment or a text, or one that no grammar may have
            continue
        except RecursionError:
            return Faulty("%json", "it cannot be read")
        costly = _costly(schema)
        if costly is not None:
            return Faulty(f"%json: {costly.path}", costly.why)
    return None


def kept(schema: Json, *, loose: bool) -> Json:
    """The schema with bounds that can be kept to: each is narrowed to the next that a double holds.

    loose: multiples and bounds that cannot be are left out; otherwise they stay as they are

    >>> kept({"type": "integer", "minimum": -(2**63)}, loose=False)
    {'type': 'integer', 'minimum': -9223372036854774784}
    """
    costly = loose and _costly(schema) is not None
    if not costly and not any(
        _bounds(part) for _, part, kind in _parts(schema) if kind == "schema"
    ):
        return schema
    copied: Json = json.loads(json.dumps(schema))
    for _, part in _multiples(copied) if costly else ():
        del part["multipleOf"]
    for _, part, kind in _parts(copied):
        for name, bound in _bounds(part).items() if kind == "schema" else ():
            if bound is not None:
                _narrow(part, name, bound)
            elif loose:
                del part[name]
    return copied


def _narrow(part: Json, name: str, bound: int) -> None:
    """Write a bound as one that may be reached, beside which the other stays if it is narrower."""
    for plain, exclusive, sign in _SIDES:
        if name == exclusive:
            del part[name]
            known = part.get(plain)
            part[plain] = sign * max(sign * bound, sign * known) if _is_number(known) else bound
        elif name == plain:
            part[plain] = bound


def _bounds(part: Json) -> dict[str, int | None]:
    """The bounds of a part that no double is sure to hold, as those that may be reached.

    None: it is one that no number of 64 bits reaches
    """
    found = dict[str, int | None]()
    for plain, exclusive, sign in _SIDES:
        for name in (plain, exclusive):
            bound = part.get(name)
            if _is_number(bound) and abs(bound) > _EXACT:
                beyond = name == exclusive or part.get(exclusive) is True
                if part.get("type") == "integer" and sign < 0 and bound - beyond >= _MAX_INTEGER:
                    found[name] = _MAX_INTEGER
                    continue
                least = _least(sign * bound, beyond=beyond)
                found[name] = None if least is None else sign * least
    return found


def _least(bound: float, *, beyond: bool) -> int | None:
    """The least double from a bound on, or beyond it, of a signed integer of 64 bits."""
    near = float(max(-MAX_BOUND, min(bound, 2 * MAX_BOUND)))
    if near < bound or (beyond and near <= bound):
        near = math.nextafter(near, math.inf)
    return int(near) if near <= MAX_BOUND else None


def _costly(schema: Json) -> Faulty | None:
    """Find the largest multiple where all together take too long to follow."""
    places = {
        _digits(part["multipleOf"]): place
        for place, part in _multiples(schema)
        if 0 < part["multipleOf"] < math.inf
    }
    if not places:
        return None
    most = max(places)
    if sum({digits for digits, _ in places}) > MAX_REMAINDERS:
        why = f"over {MAX_REMAINDERS} remainders to follow, with all other multiples"
    elif any(_meets(part) for _, part, _ in _parts(schema)) and _common(places) > MAX_REMAINDERS:
        why = "multiples in a schema of which parts hold together have a too large common one"
    else:
        return None
    return Faulty(path((places[most], "multipleOf")), why)


def _multiples(schema: Json) -> Iterator[tuple[Place, Json]]:
    """The parts that ask for a multiple; a value is one only if a reference may lead there."""
    led = any(map(_leads_into_value, (part for _, part, _ in _parts(schema))))
    for place, part, kind in _parts(schema):
        if _is_number(part.get("multipleOf")) and (led or kind != "value"):
            yield place, part


def _leads_into_value(part: Json) -> bool:
    """Whether a part refers to some value within the schema, or by a name that may be one's."""
    for target in (part.get("$ref"), part.get("$dynamicRef")):
        if isinstance(target, str):
            start, *steps = unquote(target).split("/")
            if start != "#" or not set(_VALUES).isdisjoint(steps):
                return True
    return False


def _common(multiples: Collection[tuple[int, int]]) -> int:
    """The least common multiple in units of the last decimal of all, as far as it is of use."""
    unit = min(0, *(exponent for _, exponent in multiples))
    common = 1
    for digits, exponent in multiples:
        if exponent - unit > len(str(MAX_REMAINDERS)):
            return MAX_REMAINDERS + 1
        common = math.lcm(common, digits * 10 ** (exponent - unit))
        if common > MAX_REMAINDERS:
            break
    return common


def _digits(number: float) -> tuple[int, int]:
    """A number's digits without zeros at the end, and the power of ten that they count.

    >>> _digits(0.25), _digits(1200)
    ((25, -2), (12, 2))
    """
    _, figures, exponent = Decimal(str(number)).as_tuple()
    told = "".join(map(str, figures))
    digits = told.rstrip("0")
    return int(digits), int(exponent) + len(told) - len(digits)


def _meets(part: Json) -> bool:
    """Whether what stands in a part may have to hold together.

    >>> _meets({"allOf": [{"$ref": "#/$defs/price"}], "title": "Price"})
    False
    """
    several = part.get("allOf")
    if "patternProperties" in part or (isinstance(several, list) and len(several) > 1):
        return True
    return bool(_MAY_MEET & part.keys()) and len(part.keys() - _NOTES) > 1


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _parts(schema: Json) -> Iterator[tuple[Place, Json, _Kind]]:
    """All objects in a schema, since references may point to any, each with where it stands."""
    waiting: list[tuple[Place, Any, _Kind]] = [(None, schema, "schema")]
    while waiting:
        place, found, kind = waiting.pop()
        if isinstance(found, dict):
            yield place, found, kind
        inner: Iterable[tuple[str | int, Any]] = (
            found.items() if isinstance(found, dict) else enumerate(found)
        )
        waiting += [
            ((place, step), each, _kind(kind, step))
            for step, each in inner
            if isinstance(each, dict | list)
        ]


def _kind(outer: _Kind, step: str | int) -> _Kind:
    if isinstance(step, int):
        return outer
    if outer == "schema":
        return "names" if step in NAMED else "value" if step in _VALUES else "schema"
    return "schema" if outer == "names" else "value"

"""Tells whether a value breaks a JSON schema, by the rules that are sure and quick to check.

Types, enumerations, constants, objects' properties, what they need and may not have, and items.
Whatever else a schema says (patterns, references, combinations) is passed over, so that no client's
schema can be slow or call a good value wrong; no verdict is better than a wrong one.
"""

from typing import Any, Final

from streams.records import Json

MAX_DEPTH: Final = 32
MAX_ITEMS: Final = 1000  # of one array
# Any of these may allow what stands beside it seems to forbid.
_OPEN: Final = ("$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "not", "if", "patternProperties")
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,), "object": (dict,), "array": (list,), "boolean": (bool,),
    "null": (type(None),),
}  # fmt: skip


def fault(value: Any, schema: Any, *, where: str = "", depth: int = 0) -> str | None:
    """Return in a few words what of a value breaks a schema; None where nothing is sure to.

    where: the path of the value

    >>> fault({"city": 3}, {"type": "object", "properties": {"city": {"type": "string"}}})
    'city is no string'
    """
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return None
    return (
        _type_fault(value, schema, where)
        or _choice_fault(value, schema, where)
        or _object_fault(value, schema, where, depth)
        or _items_fault(value, schema, where, depth)
    )


def _type_fault(value: Any, schema: Json, where: str) -> str | None:
    given = schema.get("type")
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not names or schema.get("nullable") is True:
        return None
    if any(not isinstance(name, str) or _is(value, name) for name in names):
        return None
    return f"{where or 'the value'} is no {' or '.join(names)}"


def _is(value: Any, name: str) -> bool:
    if name in ("number", "integer"):
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return not isinstance(value, bool) and (
            whole or (name == "number" and isinstance(value, float))
        )
    return name not in _TYPES or isinstance(value, _TYPES[name])


def _choice_fault(value: Any, schema: Json, where: str) -> str | None:
    options = schema.get("enum")
    if isinstance(options, list) and value not in options:
        return f"{where or 'the value'} is none of the values that it may have"
    if "const" in schema and value != schema["const"]:
        return f"{where or 'the value'} is not the value that it must have"
    return None


def _object_fault(value: Any, schema: Json, where: str, depth: int) -> str | None:
    if not isinstance(value, dict):
        return None
    needed, known = schema.get("required"), schema.get("properties")
    for name in needed if isinstance(needed, list) else ():
        if isinstance(name, str) and name not in value:
            return f"{_at(where, name)} is missing"
    if not isinstance(known, dict):
        return None
    for name, each in value.items():
        if name in known:
            found = fault(each, known[name], where=_at(where, name), depth=depth + 1)
            if found:
                return found
        elif schema.get("additionalProperties") is False and not any(s in schema for s in _OPEN):
            return f"{_at(where, name)} is not known"
    return None


def _items_fault(value: Any, schema: Json, where: str, depth: int) -> str | None:
    items = schema.get("items")
    if not isinstance(value, list) or "prefixItems" in schema:
        return None
    for number, each in enumerate(value[:MAX_ITEMS]):
        found = fault(each, items, where=f"{where}[{number}]", depth=depth + 1)
        if found:
            return found
    return None


def _at(where: str, name: str) -> str:
    return f"{where}.{name[:60]}".lstrip(".")

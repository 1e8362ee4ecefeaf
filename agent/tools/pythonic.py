"""Calls as Python writes them (Llama 3.2 and 4, ToolACE and others): the whole reply is a list.

    [weather(city="Oslo"), time(zone="CET", exact=True)]

Held to a grammar, values are JSON: true, false and null are read beside Python's own names.
"""

import ast
import json
import re
import warnings
from collections.abc import Sequence
from typing import Any, Final

from agent.tools.calls import Call, written_object
from agent.tools.format import MORE, Arguments, Format, Rules, Spell, Tool

_BEGUN: Final = re.compile(r"\s*+\[\s*+[A-Za-z_][\w.]*+\s*+\(")
_BEGINS: Final = re.compile(r"\s*+(\[\s*+([A-Za-z_][\w.]*+\s*+)?)?")
_NAMES: Final[dict[str, Any]] = {"true": True, "false": False, "null": None}


def _bare(text: str) -> bool | None:
    if _BEGUN.match(text):
        return True
    return None if _BEGINS.fullmatch(text) else False


def _read(text: str) -> list[Call] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that JSON has and Python does not
            tree = ast.parse(text.strip(), mode="eval").body
        nodes = tree.elts if isinstance(tree, ast.List) else [tree]
        return [_call(node) for node in nodes] or None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _call(node: ast.expr) -> Call:
    """Read one call. Raises: ValueError when it is none."""
    if not isinstance(node, ast.Call) or node.args:
        raise ValueError("no call by names")
    given: dict[str, Any] = {}
    for keyword in node.keywords:
        value = _value(keyword.value)
        if keyword.arg is not None:
            given[keyword.arg] = value
        elif isinstance(value, dict):
            given |= value
        else:
            raise ValueError("** of no object")
    arguments = written_object(given)
    if arguments is None:
        raise ValueError("arguments that are no JSON")
    return Call(ast.unparse(node.func), arguments)


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=str(text)):  # JSON escapes a character beyond 16 bits as two halves
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        case ast.Constant(value=int() | float() | None as plain):
            return plain
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item) for item in items]
        case ast.Dict(keys=keys, values=values):
            names = [_value(key) if key is not None else None for key in keys]
            if not all(isinstance(name, str) for name in names):
                raise ValueError("an object whose names are no text")
            return dict(zip(names, map(_value, values), strict=True))
        case ast.Name(id=name) if name in _NAMES:
            return _NAMES[name]
    raise ValueError("a value that is computed")


def _rules(tools: Sequence[Tool], _: Spell, arguments: Arguments, several: bool) -> Rules:
    rules = {f"args_{n}": arguments(tool) for n, tool in enumerate(tools)}
    # any schema can be kept to by an object, and no other form of the arguments could be for all
    heads = [json.dumps(f"{tool.name}(**") for tool in tools]
    each = " | ".join(f'{head} args_{n} ")"' for n, head in enumerate(heads))
    more = f' (", " call){MORE}' if several else ""
    return {"calls": f'"[" call{more} "]"', "call": f"({each})"} | rules


PYTHONIC: Final = Format(
    "pythonic",
    None,
    None,
    _read,
    _rules,
    lambda _, listed: '")]"' if listed else '")"',
    _bare,
    head=re.compile(r"([^\[\](), ]+)\(\*\*(?=\{)"),
)

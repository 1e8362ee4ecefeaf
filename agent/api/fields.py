"""Pieces of bodies that several APIs have: what a reply must keep to, which tools it may call.

What a client cannot have here is read all the same, so that it can be refused by its name.

Knows the JSON of these pieces; nothing of any whole body.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from pydantic import (
    AfterValidator,
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from agent.errors import InvalidError
from agent.http.body import read_json
from agent.http.form import refuse
from agent.turn.held.constraint import Constraint, TextForm
from streams.records import Json

Mode = Literal["none", "auto", "required"]


class Refused:
    """Marks a parameter that is refused when it is given: Annotated[Any, Refused("why")]."""

    def __init__(self, why: str, *harmless: Any) -> None:
        """Say why, and what to do instead. harmless: values beside null that ask for nothing."""
        self._why, self._harmless = why, (None, *harmless)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, _: CoreSchema, __: GetJsonSchemaHandler) -> Json:
        return {"enum": list(self._harmless), "description": f"Refused: {self._why}."}

    def _check(self, value: Any) -> Any:
        if value not in self._harmless:
            refuse(self._why)
        return value


def _of_object(schema: Json) -> Json:
    kinds = schema.get("type", "object")
    if "object" not in (kinds if isinstance(kinds, list) else [kinds]):
        refuse("its type must be object: a call's arguments are one")
    return schema


# The schema of the arguments of a function that a client offers.
ArgumentsSchema = Annotated[dict[str, Any], AfterValidator(_of_object)]


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Which tools a reply may call, and whether it must call one."""

    mode: Mode
    names: tuple[str, ...] | None = None  # None: all that are offered
    said: Any = "auto"  # as the client spelt it

    def prove(self, offered: Sequence[str]) -> None:
        """Refuse a choice that the tools on offer do not allow; for a validator."""
        missing = [name for name in self.names or () if name not in offered]
        if missing:
            refuse("tool_choice: no tool is named {name}", name=repr(missing[0]))
        if self.mode == "required" and not offered:
            refuse("tool_choice: a call is required, but there are no tools")

    def only(self, offered: Sequence[str]) -> tuple[str, ...]:
        """The tools on offer that may be called."""
        if self.mode == "none":
            return ()
        return tuple(name for name in offered if self.names is None or name in self.names)


def may_serve(choice: ToolChoice | None) -> bool:
    """Whether a choice leaves room for tools that the agent calls itself: it names none."""
    return choice is None or (choice.mode == "auto" and choice.names is None)


def prove_apart(names: Sequence[str]) -> None:
    """Refuse tools of one name, of which a call would name both; for a validator."""
    for place, name in enumerate(names):
        if name in names[:place]:
            refuse("tools: two of them have one name, {name}", name=repr(name[:100]))


def read_tool_choice(value: Any) -> Any:
    """Read OpenAI's tool_choice, in the spelling of Chat Completions or of Responses."""
    if value is None or isinstance(value, ToolChoice):
        return value
    if value in ("none", "auto", "required"):
        return ToolChoice(value, said=value)
    if isinstance(value, dict) and value.get("type") == "function":
        name = _tool_name(value)
        if name is not None:
            return ToolChoice("required", (name,), said=value)
    if isinstance(value, dict) and value.get("type") == "allowed_tools":
        allowed = value.get("allowed_tools", value)
        tools = allowed.get("tools") if isinstance(allowed, dict) else None
        names = [_tool_name(tool) for tool in tools] if isinstance(tools, list) else []
        known = tuple(name for name in names if name is not None)
        if known and len(known) == len(names) and allowed.get("mode") in ("auto", "required"):
            return ToolChoice(allowed["mode"], known, said=value)
    refuse('choose "none", "auto", "required", a function by its name, or allowed_tools')


def _tool_name(tool: Any) -> str | None:
    if not isinstance(tool, dict) or tool.get("type") != "function":
        return None
    function = tool.get("function", tool)
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else None


def read_format(value: Any) -> Any:
    """Read OpenAI's response_format (Chat Completions) or text.format (Responses)."""
    if value is None or isinstance(value, TextForm):
        return value
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return TextForm("json_object")
    if isinstance(value, dict) and kind == "json_schema":
        return _schema_form(value.get("json_schema", value))
    refuse("its type must be text, json_object or json_schema")


def _schema_form(described: Any) -> TextForm:
    schema = described.get("schema") if isinstance(described, dict) else None
    if not isinstance(schema, dict):
        refuse("json_schema needs a schema, which is an object")
    strict = described.get("strict")
    if strict is not None and not isinstance(strict, bool):
        refuse("strict must be true or false")
    named = {name: described.get(name) for name in ("name", "description")}
    for name, said in named.items():
        if said is not None and not isinstance(said, str):
            refuse("{name} must be a text", name=name)
    return TextForm("json_schema", schema, loose=strict is False, named=named | {"strict": strict})


def told_format(form: TextForm | None) -> Json:
    """What a response says of the form that its request asked for, as Responses spells it.

    >>> told_format(None), told_format(TextForm("json_object"))
    ({'type': 'text'}, {'type': 'json_object'})
    """
    if form is None:
        return {"type": "text"}
    if form.kind != "json_schema":
        return {"type": form.kind}
    named = form.named or {}
    return {"type": form.kind, **named, "name": named.get("name") or "", "schema": form.body}


def read_structured(value: Any) -> Any:
    """Read vLLM's structured_outputs: exactly one of json, json_object, regex, choice, grammar."""
    if value is None or isinstance(value, TextForm):
        return value
    given = {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else {}
    match list(given.items()):
        case [("json", dict(schema))]:
            return TextForm("json_schema", schema)
        case [("json", str(text))] if isinstance(schema := _object(text), dict):
            return TextForm("json_schema", schema)
        case [("json_object", True)]:
            return TextForm("json_object")
        case [("regex", str(text))]:
            return TextForm("regex", text)
        case [("grammar", str(text))]:
            return TextForm("grammar", text)
        case [("choice", list(texts))] if texts and all(isinstance(each, str) for each in texts):
            return TextForm("choice", tuple(texts))
    refuse("give one of json (a schema), json_object, regex, choice or grammar")


def _object(text: str) -> Any:
    try:
        return read_json(text.encode())
    except (InvalidError, UnicodeEncodeError):
        return None


class SupportsName(Protocol):
    """A tool, in the spelling of any API."""

    @property
    def name(self) -> str: ...

    @property
    def strict(self) -> bool | None: ...


def constraint_of(
    choice: ToolChoice | None, tools: Iterable[SupportsName], **forms: TextForm | None
) -> Constraint | None:
    """What the reply must keep to, if anything.

    A text of a form may give way to a call, where tools are on offer: agents that end with such a
    text call tools before it.

    tools: all that the client sends
    forms: the form of its text, by the client's name of it; the first that is given counts
    """
    named = {tool.name: tool for tool in tools}
    offered = tuple(choice.only(list(named)) if choice is not None else named)
    loose = frozenset(name for name in offered if named[name].strict is False)
    if choice is not None and choice.mode == "required":
        return Constraint("tool_choice", calls=offered, loose=loose)
    for param, form in forms.items():
        if form is not None:
            return Constraint(param.replace("__", "."), text=form, calls=offered, loose=loose)
    return None


_CHOICE = {
    "anyOf": [
        {"enum": ["none", "auto", "required", None]},
        {
            "type": "object",
            "properties": {"type": {"enum": ["function", "allowed_tools"]}},
            "required": ["type"],
        },
    ]
}
_FORMAT = {
    "anyOf": [
        {
            "type": "object",
            "properties": {"type": {"enum": ["text", "json_object", "json_schema"]}},
            "required": ["type"],
        },
        {"type": "null"},
    ]
}
_STRUCTURED = {
    "anyOf": [
        {
            "type": "object",
            "properties": {
                "json": {"type": "object"},
                "json_object": {"const": True},
                "regex": {"type": "string"},
                "choice": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                "grammar": {"type": "string"},
            },
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        },
        {"type": "null"},
    ]
}
Choice = Annotated[ToolChoice | None, BeforeValidator(read_tool_choice), WithJsonSchema(_CHOICE)]
Format = Annotated[TextForm | None, BeforeValidator(read_format), WithJsonSchema(_FORMAT)]
Structured = Annotated[
    TextForm | None, BeforeValidator(read_structured), WithJsonSchema(_STRUCTURED)
]

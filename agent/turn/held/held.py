"""Makes the grammar that a reply is held to, and says what the record of the turn tells of it.

A fault in what a client asks for is told with its place: of a schema, the path of the innermost
part that cannot be kept to.

Knows nothing of tokens, or of any API's JSON.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Final, Literal

from agent.constrain.contract import Compiler, Grammar
from agent.constrain.source import Source, control, expression, json_of, literal, one_of, rules
from agent.errors import GrammarError, InvalidError
from agent.tools.format import Format, Rules, Spell, Tool
from agent.turn.held.begun import as_held
from agent.turn.held.constraint import Constraint, TextForm, TextKind
from agent.turn.held.numbers import kept, unkept_in_lark, unkept_number
from agent.turn.held.schema import crowded_part, faulty_part, of_arguments
from streams import records
from streams.records import Json
from streams.turn import MAX_CONSTRAINT_CHARS

# Of a processor, for all parts that are searched for a fault: each may take a good part of that, a
# body has room for hundreds, and whoever else wants a reply held waits meanwhile.
SEARCH_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Held:
    """What a reply is held to. told: as the record of the turn has it"""

    grammar: Grammar
    told: records.Constraint


@dataclass(frozen=True, slots=True)
class Rest:
    """A call that was begun, to be gone on with. arguments: so far; listed: it stands in a list"""

    name: str
    arguments: str
    listed: bool


def hold_rest(
    rest: Rest, tools: Sequence[Json] | None, *, compiler: Compiler | None, form: Format
) -> Held | None:
    """Compile what the rest of a call must keep to: to its tool's schema, where it can still be.

    returns: None where it cannot even become an object
    """
    if compiler is None:
        return None
    tool = next(_tool(each) for each in tools or [] if each["function"]["name"] == rest.name)
    after = form.after(_speller(compiler), rest.listed)
    for schema in (of_arguments(tool.schema), {"type": "object"}):
        source = rules(start=f"arguments {after}", arguments=_json(schema, loose=True))
        with suppress(GrammarError):
            grammar = compiler.compile(source, begun=as_held(rest.arguments))
            return Held(grammar, _told("tool_call", source))
    return None


def hold(
    constraint: Constraint,
    tools: Sequence[Json] | None,
    *,
    compiler: Compiler | None,
    form: Format,
    several: bool = True,
    begun: str = "",
    clock: Callable[[], float] = time.thread_time,
) -> Held:
    """Compile what a reply must keep to. Takes its time, so not in the event loop.

    tools: those on offer, in OpenAI's form
    compiler: None: the package that it needs is not installed
    form: in which the model writes calls
    several: whether more than one tool may be called
    begun: the message that the reply goes on with: where that is a beginning of the form, the
        message is held to it as a whole; else the reply is, alone
    clock: of the time that the search for a fault may take, seconds
    raises: InvalidError, which names the parameter and what is wrong with it
    """
    if compiler is None:
        raise InvalidError(
            f"{constraint.param}: {constraint} needs the package llguidance, which this server "
            "lacks: install it there, or leave the parameter out and check the reply",
            param=constraint.param,
            code="unsupported_parameter",
        )
    offered = [_tool(each) for each in tools or [] if each["function"]["name"] in constraint.calls]
    if (unkept := _unkept(constraint, offered)) is not None:
        raise InvalidError(
            f"{constraint.param}: {unkept}", param=constraint.param, code="invalid_value"
        )
    try:
        source = _source(constraint, offered, compiler=compiler, form=form, several=several)
        grammar = _compiled(source, _begun(constraint, begun), compiler)
    except GrammarError as cause:
        raise InvalidError(
            f"{constraint.param}: {_fault(constraint, offered, compiler, cause, clock)}",
            param=constraint.param,
            code="invalid_value",
        ) from cause
    kind = "tool_call" if constraint.text is None else constraint.text.kind
    return Held(grammar, _told(kind, source))


def possible(
    tools: Sequence[Json], *, compiler: Compiler, clock: Callable[[], float] = time.thread_time
) -> list[Json]:
    """The same tools, but any object for arguments of those whose schemas cannot be kept to.

    What is not known in time counts as such. Takes its time, so not in the event loop.

    tools: in OpenAI's form
    """
    ends_s = clock() + SEARCH_S
    told: list[Json] = []
    for offered in tools:
        schema = of_arguments(_tool(offered).schema)
        if clock() >= ends_s or crowded_part(schema) or not _compiles(schema, compiler):
            offered = {
                **offered,
                "function": {**offered["function"], "parameters": {"type": "object"}},
            }
        told.append(offered)
    return told


def _compiles(schema: Json, compiler: Compiler) -> bool:
    try:
        compiler.compile(rules(start=_json(schema, loose=True, printed=True)))
    except GrammarError:
        return False
    return True


def _begun(constraint: Constraint, begun: str) -> str:
    """What of a message that is gone on with its form is held to, as that has it."""
    if constraint.text is None:
        return ""
    return as_held(begun) if constraint.text.kind in ("json_schema", "json_object") else begun


def _compiled(source: Source, begun: str, compiler: Compiler) -> Grammar:
    """Compile a source, and go on from where what is begun has come in it, if it has.

    raises: GrammarError
    """
    if begun:
        with suppress(GrammarError):
            grammar = compiler.compile(source, begun=begun)
            if not grammar.start().ended:
                return grammar
    return compiler.compile(source)


def _tool(offered: Json) -> Tool:
    function = offered["function"]
    return Tool(function["name"], function.get("parameters"))


def _source(
    constraint: Constraint,
    tools: Sequence[Tool],
    *,
    compiler: Compiler,
    form: Format,
    several: bool,
) -> Source:
    text = constraint.text
    if text is not None and text.kind == "grammar" and not tools:
        return Source(str(text.body))
    parts: Rules = {}
    starts: list[str] = []
    if text is not None:
        parts["text"] = _term(text, compiler)
        starts.append("text")
    if tools:
        spell = _speller(compiler)
        parts |= form.rules(tools, spell, lambda tool: _arguments(constraint, tool), several)
        starts.append("calls")
    return rules(start=one_of(starts), **parts)


def _speller(compiler: Compiler) -> Spell:
    def spell(tag: str) -> str:
        token = compiler.control(tag)
        return literal(tag) if token is None else control(token)

    return spell


def _arguments(constraint: Constraint, tool: Tool) -> str:
    schema = of_arguments(tool.schema)
    return _json(schema, loose=tool.name in constraint.loose, printed=True)


def _term(text: TextForm, compiler: Compiler) -> str:
    match text:
        case TextForm("grammar", str(grammar)):
            return compiler.nested(grammar)
        case TextForm("regex", str(regex)):
            return expression(regex)
        case TextForm("choice", tuple(texts)):
            return one_of(map(literal, texts))
        case TextForm("json_schema", dict(schema), loose):
            return _json(schema, loose=loose)
    return json_of({"type": "object"})


def _json(schema: Json, *, loose: bool, printed: bool = False) -> str:
    return json_of(kept(schema, loose=loose), loose=loose, printed=printed)


def _unkept(constraint: Constraint, tools: Sequence[Tool]) -> str | None:
    """What is known to be too much before it is compiled: properties, and what numbers ask for."""
    text = constraint.text
    schemas = [("", text.body, text.loose)] if text and isinstance(text.body, dict) else []
    for tool in tools:
        whose = f"the parameters of {tool.name!r}: "
        schemas.append((whose, of_arguments(tool.schema), tool.name in constraint.loose))
    for whose, schema, loose in schemas:
        found = crowded_part(schema) or (None if loose else unkept_number(schema))
        if found is not None:
            return f"{whose}{found.path}: {found.why}"
    if text is not None and text.kind == "grammar":
        found = unkept_in_lark(str(text.body))
        return None if found is None else f"{found.path}: {found.why}"
    return None


def _fault(
    constraint: Constraint,
    tools: Sequence[Tool],
    compiler: Compiler,
    cause: GrammarError,
    clock: Callable[[], float],
) -> str:
    """What is wrong, and where, as far as that is found in time."""
    ends_s = clock() + SEARCH_S

    def has_time() -> bool:
        return clock() < ends_s

    def fault_of(source: Source) -> str | None:
        try:
            compiler.compile(source)
        except GrammarError as fault:
            return str(fault)
        return None

    def fails(loose: bool, schema: Json) -> str | None:
        return fault_of(rules(start=_json(schema, loose=loose)))

    text = constraint.text
    if text is not None and text.kind == "grammar":  # alone, its lines have the client's numbers
        alone = fault_of(Source(str(text.body)))
        if alone is not None:
            return alone
    if text is not None and text.kind == "json_schema" and isinstance(text.body, dict):
        found = faulty_part(text.body, partial(fails, text.loose), has_time)
        if found is not None:
            return f"{found.path}: {found.why}"
    for tool in takewhile(lambda _: has_time(), tools):
        loose = tool.name in constraint.loose
        found = faulty_part(of_arguments(tool.schema), partial(fails, loose), has_time)
        if found is not None:
            return f"the parameters of {tool.name!r}: {found.path}: {found.why}"
    return str(cause)


def _told(kind: TextKind | Literal["tool_call"], source: Source) -> records.Constraint:
    text = source.text
    return records.Constraint(
        kind=kind,
        digest=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        text=text if len(text) <= MAX_CONSTRAINT_CHARS else None,
    )

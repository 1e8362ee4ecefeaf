"""Schemas of clients: in which part something is wrong, or more may be left out than can be."""

import tracemalloc
from typing import Any, cast

import pytest

from agent.constrain.contract import Grammar
from agent.constrain.source import Source
from agent.errors import GrammarError, InvalidError
from agent.tools.hermes import HERMES
from agent.turn.held.constraint import Constraint, TextForm
from agent.turn.held.held import SEARCH_S, hold
from agent.turn.held.schema import MAX_OPTIONAL, crowded_part, of_arguments


def named(number: int) -> dict[str, Any]:
    return {f"p{n}": {} for n in range(number)}


HALF = named(MAX_OPTIONAL // 2 + 1)


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"properties": named(MAX_OPTIONAL + 1)}, "schema"),
        ({"properties": {"a": {"items": {"properties": named(MAX_OPTIONAL + 1)}}}},
         "schema.properties.a.items"),
        ({"anyOf": [{"properties": HALF}, {"properties": HALF}]}, "schema"),
        ({"anyOf": [{"properties": HALF}, {"$ref": "#/$defs/b"}],
          "$defs": {"b": {"allOf": [{"properties": HALF}]}}}, "schema"),
        ({"properties": named(MAX_OPTIONAL + 2), "required": ["p0", 5]}, "schema"),
    ],
)  # fmt: skip
def test_too_many_that_may_be_left_out_are_told_with_their_place(
    schema: dict[str, Any], path: str
) -> None:
    """Those of a schema's choices stand beside its own, behind references, too."""
    found = crowded_part(schema)
    assert found is not None
    assert found.path == path
    assert "may be left out" in found.why


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"properties": named(MAX_OPTIONAL)},
        {"properties": named(9000), "required": [f"p{n}" for n in range(0, 9000, 1000)]},
        {"properties": {"a": {"properties": HALF}, "b": {"properties": HALF}}},
        {"properties": [], "required": 5, "anyOf": 5, "$ref": 5},
        {"$ref": "#", "properties": {"next": {"$ref": "#"}}},
        {"$ref": "#/nowhere"},
        {"$ref": "#/$defs/d0",  # each twice the next: counted once
         "$defs": {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(60)}},
    ],
)  # fmt: skip
def test_what_can_be_followed_passes(schema: dict[str, Any]) -> None:
    """Any number that must be there, or that may be left out at different places."""
    assert crowded_part(schema) is None


def test_references_without_an_end_are_a_fault_and_no_failure() -> None:
    """A chain of thousands, each to the next."""
    chain = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(5000)}
    found = crowded_part({"$ref": "#/$defs/d0", "$defs": chain})
    assert found is not None
    assert "references" in found.why


@pytest.mark.parametrize("name", ["allOf", "anyOf", "oneOf", "prefixItems", "properties"])
def test_a_long_name_of_many_parts_is_not_copied_for_each(name: str) -> None:
    """A body of some kilobytes must not use up a server's memory."""
    parts = {str(n): {} for n in range(2000)} if name == "properties" else [{}] * 2000
    schema = {"properties": {"k" * 20_000: {name: parts}}}
    tracemalloc.start()
    try:
        assert crowded_part(schema) is None
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


class SlowCompiler:
    """Refuses what holds a type that there is not, and takes its time over everything."""

    def __init__(self) -> None:
        self.took_s = 0.0

    def compile(self, source: Source, *, begun: str = "") -> Grammar:  # noqa: ARG002
        self.took_s += SEARCH_S / 4
        if '"strin"' in source.text:
            raise GrammarError("Invalid type: strin")
        return cast(Grammar, None)  # nobody replies

    def nested(self, grammar: str) -> str:
        return grammar

    def control(self, text: str) -> int | None:  # noqa: ARG002
        return None


SLOW: list[Any] = [{"type": "string", "pattern": f"^(a{{500}}){{400}}{n}$"} for n in range(199)]
BAD: Any = {"type": "strin"}


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        (Constraint("x", TextForm("json_schema", {"items": BAD, "anyOf": SLOW})), "schema.items: "),
        (Constraint("x", TextForm("json_schema", {"anyOf": [*SLOW, BAD]})), "schema: "),
        (Constraint("x", calls=("good", "bad")), "the parameters of 'bad': schema: "),
        (Constraint("x", calls=(*(f"f{n}" for n in range(100)), "bad")), "Invalid type"),
    ],
)  # fmt: skip
def test_what_is_slow_to_search_is_told_as_far_as_it_was_found(
    asked: Constraint, path: str
) -> None:
    """One body must not keep all others waiting whose replies are held."""
    bad: Any = {"anyOf": [*SLOW, BAD]}
    tools: list[Any] = [
        {"function": {"name": name, "parameters": bad if name == "bad" else {}}}
        for name in asked.calls
    ]
    compiler = SlowCompiler()
    with pytest.raises(InvalidError) as caught:
        hold(asked, tools, compiler=compiler, form=HERMES, clock=lambda: compiler.took_s)
    assert compiler.took_s <= 1.5 * SEARCH_S
    assert caught.value.message.startswith(f"x: {path}")


@pytest.mark.parametrize(
    ("schema", "closed"),
    [
        ({"properties": {"a": {}}, "required": ["a"]}, True),
        ({"properties": {"a": {}}, "required": ["a", "b"]}, False),
        ({"properties": {"a": {}}, "required": [{}, 5]}, True),
        ({"properties": {"a": {}}, "minProperties": 1}, True),
        ({"properties": {}, "minProperties": 1}, False),
        ({"properties": 5, "required": 5, "minProperties": "5"}, True),
    ],
)
def test_arguments_are_those_that_are_named_unless_others_are_demanded(
    schema: dict[str, Any], closed: bool
) -> None:
    """A schema that some objects satisfy is not made into one that none does."""
    assert (of_arguments(schema).get("additionalProperties") is False) == closed

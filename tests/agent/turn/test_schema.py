"""Schemas of clients: in which part of one more properties may be left out than can be followed."""

from typing import Any

import pytest

from agent.turn.held.schema import MAX_OPTIONAL, crowded_part


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

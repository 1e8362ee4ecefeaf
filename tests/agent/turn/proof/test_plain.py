"""What is plain is short and adds up: whatever it says, it is compiled in no time that counts."""

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.constrain.contract import Compiler
from agent.constrain.open import open_compiler
from agent.errors import InvalidError
from agent.tools.hermes import HERMES
from agent.turn.held.constraint import Constraint, TextForm, TextKind
from agent.turn.held.held import Rest
from agent.turn.proof.job import Job, done
from agent.turn.proof.plain import MAX_CHARS, MAX_PARTS, is_plain
from streams.model.open import BaseModel
from tests.agent.constrain.test_guidance import CITY


def job(kind: TextKind, body: Any, begun: str = "") -> Job:
    form = TextForm(kind, body)
    return Job(Constraint("response_format", form), (), HERMES, begun=begun)


def doubled(number: int, wrap: Any) -> dict[str, Any]:
    """Definitions of which each names the next twice."""
    next_ = [{"$ref": f"#/$defs/d{n + 1}"} for n in range(number)]
    defs = {f"d{n}": wrap(next_[n]) for n in range(number)}
    return {"$ref": "#/$defs/d0", "$defs": defs | {f"d{number}": {}}}


WORST = {
    "choices": job("json_schema", {"anyOf": [{}] * 190}),
    "choices in choices": job("json_schema", json.loads('{"anyOf":[' * 90 + "{}" + ",{}]}" * 90)),
    "references": job(
        "json_schema", doubled(40, lambda each: {"properties": {"a": each, "b": each}})),
    "choices of references": job("json_schema", doubled(45, lambda each: {"anyOf": [each, each]})),
    "counts in counts": job("json_schema", json.loads(
        '{"minItems":1000,"items":' * 100 + '{"maxLength":1000}' + "}" * 100)),
    "objects": job("json_schema", {"enum": [{"a": [{"b": n}]} for n in range(400)]}),
    "what may be left out": job("json_schema", {"properties": {f"k{n}": {} for n in range(190)}}),
    "what is begun": job("json_schema", {"anyOf": [{}] * 90}, begun="[1," * 2500),
    "faults": job("json_schema", json.loads('{"items":' * 190 + '{"type":"x"}' + "}" * 190)),
}  # fmt: skip


@pytest.fixture(scope="module")
def compiler(tiny_base: BaseModel) -> Compiler:
    made = open_compiler(tiny_base)
    assert made is not None
    return made


@pytest.mark.parametrize("name", WORST)
def test_the_worst_of_what_is_plain_is_compiled_soon(compiler: Compiler, name: str) -> None:
    """Up to 80 ms of a processor, where what is tried may take 3 s."""
    assert is_plain(WORST[name])
    began_s = time.thread_time()
    with suppress(InvalidError):  # of the search for what is wrong, too
        done(WORST[name], compiler)
    assert time.thread_time() - began_s < 1


PLAIN = st.recursive(
    st.sampled_from([True, {"type": "string", "maxLength": 9}, {"enum": [1, "a"]}, CITY]),
    lambda inner: st.one_of(
        inner.map(lambda each: {"items": each, "title": "x"}),
        st.lists(inner, max_size=3).map(lambda each: {"anyOf": each}),
        st.dictionaries(st.sampled_from(["pattern", "b"]), inner).map(
            lambda each: {"properties": each}
        ),
    ),
    max_leaves=9,
)
COSTLY = ["pattern", "patternProperties", "allOf", "oneOf", "not", "if", "format", "multipleOf",
          "uniqueItems", "propertyNames", "contains", "dependentSchemas", "x"]  # fmt: skip


@given(schema=PLAIN, keyword=st.sampled_from(COSTLY))
def test_one_part_that_does_not_add_up_is_enough(schema: Any, keyword: str) -> None:
    """Wherever it stands; names of properties are none of its keywords."""
    whole = {"properties": {"a": schema}}
    assert is_plain(job("json_schema", whole))
    for inner in ({keyword: schema}, {"minItems": 1001}, {"$ref": "#", "type": "object"}):
        assert not is_plain(job("json_schema", {"items": {"properties": {"a": inner, "b": whole}}}))


@pytest.mark.parametrize("wrong", [None, 3, [1], {"a": None}])
@pytest.mark.parametrize("name", ["$defs", "definitions", "properties"])
@pytest.mark.parametrize("beside", [{}, {"$ref": "#/$defs/a"}, {"anyOf": [{}]}])
def test_what_is_no_schema_is_not_plain(beside: dict[str, Any], name: str, wrong: Any) -> None:
    """And no fault of this server: what tries it says what is wrong with it."""
    assert not is_plain(job("json_schema", {**beside, name: wrong}))


def test_what_is_long_is_not_plain() -> None:
    """In letters or in parts, of the form, of tools, or of what is begun."""
    long = "x" * (MAX_CHARS + 1)
    tool = {"type": "function", "function": {"name": "f", "parameters": {"const": long}}}
    for asked in (
        job("choice", (long,)),
        job("choice", ("x",) * MAX_CHARS),
        job("json_schema", {"anyOf": [{}] * MAX_PARTS}),
        job("json_schema", {"description": long}),
        job("json_object", None, begun=long),
        Job(Constraint("tools", calls=("f",)), (tool,), HERMES),
        Job(Rest("f", "{", False), (tool,), HERMES),
    ):
        assert not is_plain(asked)
    assert is_plain(Job(Constraint("tools", calls=("g",)), (tool,), HERMES))  # f is not demanded

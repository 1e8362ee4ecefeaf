"""Numbers of clients' schemas: bounds are kept to, and no multiple holds everybody up."""

import json
import tracemalloc
from typing import Any

import pytest

from agent.constrain.contract import Compiler
from agent.constrain.open import open_compiler
from agent.errors import InvalidError
from agent.tools.hermes import HERMES
from agent.turn.held.constraint import Constraint, TextForm
from agent.turn.held.held import Held, hold
from agent.turn.held.numbers import MAX_BOUND, kept, unkept_number
from streams.model.open import BaseModel

FLOAT32, FLOAT64 = 3.4028234663852886e38, 1.7976931348623157e308
NEXT = 2**53 + 1  # of which no double is


@pytest.fixture(scope="module")
def compiler(tiny_base: BaseModel) -> Compiler:
    made = open_compiler(tiny_base)
    assert made is not None
    return made


def held_to(compiler: Compiler, schema: dict[str, Any], *, loose: bool = False) -> Held:
    form = Constraint("response_format", TextForm("json_schema", schema, loose=loose))
    return hold(form, None, compiler=compiler, form=HERMES)


def may_be(compiler: Compiler, held: Held, text: str) -> bool:
    """Whether a text is all of a reply that is held."""
    matcher = held.grammar.start()
    for token in compiler._read_vocabulary().tokenize_bytes(text.encode()):  # type: ignore[attr-defined]
        if matcher.ended or not matcher.mask()[token]:
            return False
        matcher.take(token)
    return bool(matcher.ended or matcher.mask()[2])


PRIMES = [{"multipleOf": 997}, {"multipleOf": 991}]


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"multipleOf": 9_999_991}, "schema.multipleOf"),
        ({"multipleOf": 0.9999991}, "schema.multipleOf"),
        ({"properties": {"default": {"multipleOf": 99_991}}},
         "schema.properties.default.multipleOf"),
        ({"$ref": "#/x/const", "x": {"const": {"multipleOf": 99_991}}},
         "schema.x.const.multipleOf"),
        ({"anyOf": [{"multipleOf": 9000 + n} for n in range(200)]}, "schema.anyOf[199].multipleOf"),
        ({"allOf": PRIMES}, "schema.allOf[0].multipleOf"),
        ({"multipleOf": 997, "$ref": "#/$defs/a", "$defs": {"a": {"multipleOf": 991}}},
         "schema.multipleOf"),
        ({"properties": {"a": PRIMES[0]}, "patternProperties": {"a": PRIMES[1]}},
         "schema.properties.a.multipleOf"),
        ({"allOf": [{"multipleOf": 1_000_000}, {"multipleOf": 1_000_000}]},
         "schema.allOf[0].multipleOf"),
    ],
)  # fmt: skip
def test_multiples_that_take_too_long_to_follow_are_refused_with_their_place(
    compiler: Compiler, schema: dict[str, Any], path: str
) -> None:
    """By themselves, all together, or where two hold together; before anything is compiled."""
    found = unkept_number(schema)
    assert found is not None
    assert found.path == path
    with pytest.raises(InvalidError, match="multiple") as caught:
        held_to(compiler, schema)
    assert path in caught.value.message


@pytest.mark.parametrize("part", [1, {}, [], {"multipleOf": 5}])
def test_a_long_name_of_many_parts_is_not_copied_for_each(part: Any) -> None:
    """A body of some kilobytes must not use up a server's memory."""
    schema = {"type": "object", "k" * 20_000: [part] * 2000}
    tracemalloc.start()
    try:
        assert unkept_number(schema) is None
        assert kept(schema, loose=True) is schema
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


MUCH = '{"type": "integer", "multipleOf": 99991}'


@pytest.mark.parametrize(
    "grammar",
    [
        f'start: "a" | %json {MUCH}',
        f"// as in %json {{a}}\nstart: %json {MUCH}",
        f'start: "%json {{" | %json {{":1}}": 2, "anyOf": [{MUCH}]}}',  # as if it were in a text
    ],
)
def test_multiples_in_a_client_s_grammar_are_no_quicker(compiler: Compiler, grammar: str) -> None:
    """Lark takes schemas, too."""
    with pytest.raises(InvalidError, match=r"%json: schema.*\.multipleOf: over"):
        hold(Constraint("x", TextForm("grammar", grammar)), None, compiler=compiler, form=HERMES)


@pytest.mark.parametrize(
    "grammar",
    [
        '// %json {a}\nstart: "a"',
        'start: "a" // %json {',
        'start: "a" | "%json {"',
        'start: "a" | "%json {\\"type\\": 5}"',
        'start: "a" | %json {"const": "%json {\\"multipleOf\\": 9999991}"}',
    ],
)
def test_what_only_looks_like_a_schema_in_a_grammar_is_let_be(
    compiler: Compiler, grammar: str
) -> None:
    """In comments and in texts."""
    form = TextForm("grammar", grammar)
    held = hold(Constraint("x", form), None, compiler=compiler, form=HERMES)
    assert may_be(compiler, held, "a")


def test_what_is_wrong_with_a_schema_in_a_grammar_is_told(compiler: Compiler) -> None:
    """One that is no JSON, or too deep to be searched."""
    for schema in ('{"type": integer}', '{"items": ' * 100_000):
        form = TextForm("grammar", f"start: %json {schema}")
        with pytest.raises(InvalidError, match="%json"):
            hold(Constraint("x", form), None, compiler=compiler, form=HERMES)


def test_a_client_may_let_them_be_passed_over(compiler: Compiler) -> None:
    """strict: false; what else the schema says is kept to."""
    schema = {"type": "integer", "multipleOf": 9_999_991, "minimum": 2**70, "maximum": 12}
    held = held_to(compiler, schema, loose=True)
    assert may_be(compiler, held, "12")
    assert not may_be(compiler, held, "13")


@pytest.mark.parametrize(
    "schema",
    [
        {"multipleOf": 65_535}, {"multipleOf": 10**9}, {"multipleOf": 0.01},
        {"anyOf": PRIMES}, {"properties": {"a": PRIMES[0], "b": PRIMES[1]}},
        {"allOf": [{"multipleOf": 0.5}, {"multipleOf": 60}]},
        {"multipleOf": "5"}, {"multipleOf": True}, {"multipleOf": 0}, {"multipleOf": float("inf")},
        {"properties": {"multipleOf": {"type": "integer"}, "minimum": {"const": 1e300}}},
    ],
)  # fmt: skip
def test_multiples_that_can_be_followed_stay_as_they_are(schema: dict[str, Any]) -> None:
    """As do those that are none."""
    assert unkept_number(schema) is None
    assert kept(schema, loose=True) is schema


@pytest.mark.parametrize(
    ("schema", "may", "may_not"),
    [
        ({"type": "integer", "minimum": -(2**63)}, [-MAX_BOUND, 0, 10**30], [-(2**63) - 1]),
        ({"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
         [-MAX_BOUND, 0, 2**63 - 1], [-(2**63) - 1, 2**63]),
        ({"type": "integer", "minimum": 0, "maximum": 2**64 - 1}, [0, 2**63 - 1], [-1, 2**64]),
        ({"type": "integer", "exclusiveMaximum": 2**63}, [2**63 - 1], [2**63]),
        ({"type": "integer", "exclusiveMaximum": 2**63 - 1}, [MAX_BOUND], [2**63 - 1]),
        ({"type": "integer", "minimum": NEXT}, [NEXT + 1], [NEXT - 1]),
        ({"type": "integer", "maximum": NEXT}, [NEXT - 1], [NEXT + 1]),
        ({"type": "integer", "exclusiveMaximum": 2**53 + 4}, [2**53 + 2], [2**53 + 4]),
        ({"type": "integer", "allOf": [{"minimum": NEXT}]}, [NEXT + 1], [NEXT - 1]),
        ({"type": "number", "minimum": -FLOAT32, "maximum": FLOAT32}, [0, -1.5, 10**18], []),
        ({"type": "number", "minimum": -FLOAT64, "maximum": FLOAT64}, [0, -1.5, 10**18], []),
        ({"type": "number", "maximum": FLOAT64}, [0, -1.5, 10**18], [10**400]),
        ({"type": "number", "minimum": 0, "maximum": 2**63 - 1}, [0.5, MAX_BOUND], [-1, 2**63]),
    ],
)  # fmt: skip
def test_large_bounds_are_kept_to(
    compiler: Compiler, schema: dict[str, Any], may: list[float], may_not: list[float]
) -> None:
    """Those of the types of other languages, and those that no double holds: none is widened."""
    held = held_to(compiler, {"type": "object", "properties": {"n": schema}, "required": ["n"]})
    for number in (*may, *may_not):
        text = json.dumps({"n": number})
        assert may_be(compiler, held, text) == (number in may), number


def test_what_is_no_schema_keeps_its_numbers() -> None:
    """A constant is what it is; so are names of properties."""
    schema = {"const": {"minimum": 1e300}, "enum": [{"maximum": -(2**70)}]}
    assert kept(schema, loose=True) is schema
    narrowed = kept({"properties": {"const": {"minimum": NEXT}}, **schema}, loose=False)
    assert narrowed == {"properties": {"const": {"minimum": NEXT + 1}}, **schema}


def test_what_is_no_schema_keeps_its_multiples() -> None:
    """They are not followed, so they do not count, and stay where others are left out."""
    values = {
        "const": {"multipleOf": 99_991},
        "enum": [{"multipleOf": 99_991}],
        "$ref": "#/$defs/a",
        "$defs": {"a": {"type": "object"}},
    }
    assert unkept_number(values) is None
    assert kept(values, loose=True) is values
    loose = kept({"properties": {"a": {"multipleOf": 99_989}}, **values}, loose=True)
    assert loose == {"properties": {"a": {}}, **values}


def test_a_reference_that_is_wrapped_alone_holds_nothing_together() -> None:
    """As generators of schemas write each that has a description."""
    wrapped = {"allOf": [{"$ref": "#/$defs/Price"}], "description": "What it costs."}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"price": wrapped, "lot": {"type": "integer", "multipleOf": 1000}},
        "$defs": {"Price": {"type": "number", "multipleOf": 0.01}},
    }
    assert unkept_number(schema) is None
    schema["properties"]["price"] = {**wrapped, "multipleOf": 0.03}
    assert unkept_number(schema) is not None


@pytest.mark.parametrize("reference", ["#/x/const", "#/x/c%6Fnst", "http://a/x#/x/const", "other"])
def test_a_value_that_may_be_referred_to_counts_as_a_schema(reference: str) -> None:
    """Else it would be a way to have any multiple followed."""
    schema = {"$ref": reference, "x": {"const": {"multipleOf": 99_991}}}
    assert unkept_number(schema) is not None
    assert kept(schema, loose=True) == {"$ref": reference, "x": {"const": {}}}


@pytest.mark.parametrize("bound", [{"minimum": 2**63}, {"exclusiveMaximum": -1e300}])
def test_a_bound_that_nothing_reaches_is_refused_by_its_name(
    compiler: Compiler, bound: dict[str, float]
) -> None:
    """In words of ours."""
    schema = {"properties": {"n": {"type": "integer", **bound}}}
    with pytest.raises(InvalidError, match=f"n.{next(iter(bound))}: it is beyond"):
        held_to(compiler, schema)

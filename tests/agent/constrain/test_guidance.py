"""What is sampled within masks is what its source describes, on every kind of vocabulary."""

import json
import random
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken

from agent.constrain import guidance
from agent.constrain.guidance import Guidance
from agent.constrain.source import (
    Source,
    control,
    expression,
    json_of,
    literal,
    one_of,
    rules,
)
from agent.constrain.vocabulary import vocabulary_of
from agent.errors import GrammarError
from agent.turn.held.schema import MAX_OPTIONAL
from tests.tiny import tiny_pieces_tokenizer, tiny_tokenizer

CITY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"enum": ["Oslo", "Reykjavík", 'a "quoted" one']},
        "days": {"type": "array", "items": {"$ref": "#/$defs/day"}, "minItems": 1, "maxItems": 3},
        "warm": {"type": ["boolean", "null"]},
    },
    "required": ["city", "days"],
    "additionalProperties": False,
    "$defs": {"day": {"type": "integer", "minimum": 1, "maximum": 31}},
}


def opened(make: Callable[[], Any]) -> tuple[Guidance, Any]:
    tokenizer = make()
    tokenizer.add_tokens([AddedToken("[CALL]", special=True)])
    vocabulary = vocabulary_of(tokenizer, num_tokens=len(tokenizer) + 5, stop_ids={2})
    return Guidance(vocabulary), tokenizer


MODELS = {"bytes": opened(tiny_tokenizer), "pieces": opened(tiny_pieces_tokenizer)}
KINDS = pytest.mark.parametrize("kind", MODELS)


def walk(kind: str, source: Source, seed: int, compiler: Guidance | None = None) -> str:
    """A reply of which every token is drawn evenly among those that may come."""
    known, tokenizer = MODELS[kind]
    compiler = compiler or known
    matcher, drawing, said = compiler.compile(source).start(), random.Random(seed), list[int]()
    while not matcher.ended:
        allowed = matcher.mask().nonzero()[0].tolist()
        assert allowed
        assert max(allowed) < len(tokenizer)
        token = drawing.choice(allowed)
        matcher.take(token)
        if token == 2:
            break
        said.append(token)
        assert len(said) < 2000
    return str(tokenizer.decode(said, skip_special_tokens=False))


@KINDS
@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_json_is_valid_under_its_schema(kind: str, seed: int) -> None:
    """Whatever is drawn; printed as json.dumps prints it, when that is asked for."""
    for printed in (False, True):
        text = walk(kind, rules(start=json_of(CITY, printed=printed)), seed)
        value = json.loads(text)
        assert value["city"] in CITY["properties"]["city"]["enum"]
        assert 1 <= len(value["days"]) <= 3
        assert all(1 <= day <= 31 for day in value["days"])
        assert value.get("warm") in (True, False, None)
        assert value.keys() <= {"city", "days", "warm"}
        if printed:
            assert json.loads(json.dumps(value)) == value
            assert re.search(r"[\n\t]", text) is None


@KINDS
@given(seed=st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_texts_expressions_and_grammars(kind: str, seed: int) -> None:
    """Each form keeps to what it says, slashes and line breaks included."""
    texts = ("yes", 'no "way"', "a\nb / c")
    assert walk(kind, rules(start=one_of(map(literal, texts))), seed) in texts
    regex = r"[a-c]{2,4}/\d\n(x|é)"
    assert re.fullmatch(regex, walk(kind, rules(start=expression(regex)), seed))
    assert walk(kind, Source('start: "a" b\nb: "1" | "2"'), seed) in ("a1", "a2")
    assert walk(kind, Source('root ::= "x" ("y" | "z")'), seed) in ("xy", "xz")


@KINDS
@pytest.mark.parametrize("theirs", ['start: calls\ncalls: "a" | "b" // }', 'root ::= "a" | "b"'])
def test_a_client_s_grammar_may_stand_beside_other_rules(kind: str, theirs: str) -> None:
    """In either form; whatever it calls its rules, they are none of ours."""
    compiler, _ = MODELS[kind]
    parts = {"text": compiler.nested(theirs), "calls": literal("call")}
    source = rules(start=one_of(parts), **parts)
    assert {walk(kind, source, seed) for seed in range(30)} == {"a", "b", "call"}


@KINDS
def test_a_control_token_is_reached_by_its_number(kind: str) -> None:
    """No text spells it."""
    compiler, tokenizer = MODELS[kind]
    token = compiler.control("[CALL]")
    assert token is not None
    assert token == tokenizer.convert_tokens_to_ids("[CALL]")
    assert compiler.control("a") is None
    assert walk(kind, rules(start=f"{control(token)} {literal('a')}"), 1).replace(" ", "") == (
        "[CALL]a"
    )


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (rules(start=json_of({"type": "strin"})), "Invalid type: strin"),
        (rules(start=json_of({"$ref": "#/$defs/x"})), "does not exist"),
        (rules(start=json_of({"$ref": "http://127.0.0.1:9/x"})), "not present"),
        (rules(start=json_of({"type": "integer", "minimum": 5, "maximum": 2})), "Unsatisfiable"),
        (rules(start=json_of({"type": "number", "minimum": 10**18})), "too large to be kept to"),
        (rules(start=json_of({"type": "array", "uniqueItems": True})), "uniqueItems"),
        (rules(start=json_of({"$ref": "#"})), "nothing satisfies it"),
        (rules(start=expression("(")), "unclosed group"),
        (rules(start=expression("(?=x)y")), "look-ahead"),
        (Source("start: foo"), "unknown name"),
        (Source("root ::= " + "(" * 20_000 + '"a"' + ")" * 20_000), "cannot be read"),
        (Source("x" * 2**21), "characters"),
    ],
    ids=lambda each: each.text[:30] if isinstance(each, Source) else None,
)
def test_what_cannot_be_kept_to_is_a_fault_that_says_why(source: Source, why: str) -> None:
    """Nothing is silently widened, and nothing that cannot be satisfied is begun."""
    with pytest.raises(GrammarError, match=re.escape(why)):
        MODELS["bytes"][0].compile(source)


def wide(number: int) -> dict[str, Source]:
    """Sources that may begin in so many ways."""
    texts = [f"word {n}" for n in range(number)]
    return {
        "texts": rules(start=one_of(map(literal, texts))),
        "objects": rules(start=json_of({"enum": [{"a": [n]} for n in range(number)]})),
        "rules": Source("start: " + " | ".join(f'"{each}" x' for each in texts) + '\nx: "z"\n'),
    }


@pytest.mark.parametrize("name", wide(0))
def test_thousands_of_ways_on_can_be_kept_to(name: str) -> None:
    """As many as an enumeration of cities or products has, whatever its items are."""
    assert walk("bytes", wide(3000)[name], 1)


def test_more_ways_on_than_can_be_followed_are_refused_before_a_reply_begins() -> None:
    """They show behind the first token: a reply that ended there would be a failure of ours."""
    with pytest.raises(GrammarError, match="too complex"):
        MODELS["bytes"][0].compile(wide(30_000)["rules"])


@pytest.mark.parametrize(
    ("value", "said"),
    [({"type": "integer"}, "1"), ({}, "[2]"),
     ({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}, '"x"')],
)  # fmt: skip
def test_as_many_properties_as_may_be_left_out_are_followed_to_the_end(
    value: dict[str, Any], said: str
) -> None:
    """Whatever their values are: how many steps a mask takes shows behind the first of them."""
    named = {f"k{n}": value for n in range(MAX_OPTIONAL)}
    schema = {"type": "object", "properties": named, "additionalProperties": False}
    known, tokenizer = MODELS["bytes"]
    matcher = known.compile(rules(start=json_of(schema))).start()
    for token in tokenizer.encode(f'{{"k3": {said}, "k5": {said}, "k{MAX_OPTIONAL - 1}": {said}}}'):
        assert matcher.mask()[token]
        matcher.take(token)
    assert matcher.ended


def test_what_is_long_to_read_is_refused_as_what_is_long_to_follow_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All remainders of a multiple are met before the first token, whose mask is then quick."""
    monkeypatch.setattr(guidance, "FIRST_MASK_S", 0.03)
    source = rules(start=json_of({"type": "integer", "multipleOf": 20_011}))
    with pytest.raises(GrammarError, match="too complex"):
        MODELS["bytes"][0].compile(source)


def test_the_first_mask_is_computed_once() -> None:
    """When a grammar is compiled; every reply begins with it, and none changes it."""
    known, _ = MODELS["bytes"]
    grammar = known.compile(rules(start="/[ab]{3}/"))
    first, second = grammar.start(), grammar.start()
    mask = first.mask()
    assert mask is second.mask()
    before = mask.copy()
    first.take(int(mask.argmax()))
    first.mask()
    assert np.array_equal(second.mask(), before)


def test_a_loose_schema_passes_over_what_it_cannot_keep_to() -> None:
    """The client said so: strict false."""
    schema = {"type": "array", "items": {"const": 1}, "uniqueItems": True, "maxItems": 2}
    text = walk("bytes", rules(start=json_of(schema, loose=True)), 3)
    assert all(each == 1 for each in json.loads(text))


def test_matchers_of_a_grammar_go_their_own_ways() -> None:
    """Several choices are held to one grammar, each from its beginning."""
    compiler, tokenizer = MODELS["bytes"]
    grammar = compiler.compile(rules(start=one_of(map(literal, ("ax", "bx")))))
    first, second = grammar.start(), grammar.start()
    first.take(tokenizer.convert_tokens_to_ids("a"))
    assert second.mask()[tokenizer.convert_tokens_to_ids("b")]
    assert not first.mask()[tokenizer.convert_tokens_to_ids("b")]


@KINDS
def test_a_slow_mask_sends_the_next_ones_into_threads(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """For a while; what is allowed is the same there."""
    source, aside = rules(start=json_of(CITY)), list[bool]()
    made = opened(tiny_tokenizer if kind == "bytes" else tiny_pieces_tokenizer)[0]
    at_once = walk(kind, source, 1, made)
    monkeypatch.setattr(guidance, "SLOW_MASK_S", -1.0)
    read = np.unpackbits

    def noted(*given: Any, **named: Any) -> Any:
        aside.append(threading.current_thread().name.startswith("masks"))
        return read(*given, **named)

    monkeypatch.setattr(np, "unpackbits", noted)
    assert walk(kind, source, 1, made) == at_once
    assert aside[:2] == [False, False]  # by which the grammar is proved
    assert all(aside[2:])
    assert len(aside) > 5


def test_a_source_of_too_many_parts_is_refused_before_it_is_read() -> None:
    """Braces, brackets and lines: where they refer to one another, each takes of the stack."""
    compiler, _ = MODELS["bytes"]
    for source in ("start: a0\n" + "a: b\n" * 20_000, f"start: {'(' * 20_001}", "{" * 20_001):
        with pytest.raises(GrammarError, match="over 20000 parts"):
            compiler.compile(Source(source))


HOSTILE = """
import sys
from agent.constrain.guidance import Guidance
from agent.constrain.open import open_thread
from agent.constrain.source import Source, expression, json_of, rules
from agent.constrain.vocabulary import vocabulary_of
from agent.errors import AgentError
from tests.tiny import tiny_tokenizer
tokenizer = tiny_tokenizer()
compiler = Guidance(vocabulary_of(tokenizer, num_tokens=len(tokenizer), stop_ids={2}))
holding = open_thread()
nested = '{"properties":{"a":' * 2000 + "{}" + "}}" * 2000
def rule_after_rule(number, name, around=("", "")):
    before, behind = around
    named = [f'{name}{n}:"a"{before}{name}{n + 1}{behind}|"b"\\n' for n in range(number)]
    return Source(f"start: {name}0\\n" + "".join(named) + f'{name}{number}: "c"\\n')
def referring(number, wrap):
    defs = {f"d{n}": wrap({"$ref": f"#/$defs/d{n + 1}"}) for n in range(number)}
    return rules(start=json_of({"$ref": "#/$defs/d0", "$defs": defs | {f"d{number}": {}}}))
def deep(last):
    for _ in range(50):
        last = {"items": last}
    return last
def one(last):
    return {"type": "object", "properties": {"a": last}}
for source in (
    rules(start=expression("(" * 20000 + "a" + ")" * 20000)),
    rules(start=expression("(a{1000}){1000}")),
    rules(start="%json " + nested),
    Source("start: " + "(" * 20000 + '"a"' + ")" * 20000),
    Source("start: start"),
    referring(1000, deep),
    rule_after_rule(30_000, "r"),
    rule_after_rule(19_000, "r"),
    rule_after_rule(19_000, "T"),
    rule_after_rule(1500, "r", ("(" * 10, ")" * 10)),
    referring(380, deep),
    referring(6000, one),
    referring(3500, lambda last: {"anyOf": [last, {"type": "null"}]}),
    referring(3500, lambda last: {"allOf": [last, {"minLength": 1}]}),
):
    try:
        holding.submit(lambda: compiler.compile(source).start().mask()).result()
        print("held")
    except AgentError as cause:
        print(type(cause).__name__)
"""


@pytest.mark.slow
def test_hostile_sources_end_in_errors_and_not_the_process() -> None:
    """Nested too deep, by name, too; repeated too often, without an end: a process must live."""
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    told = done.stdout.split()
    assert len(told) == 14
    assert set(told[:7]) == {"GrammarError"}
    assert set(told) <= {"GrammarError", "held"}

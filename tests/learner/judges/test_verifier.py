"""Verdicts that need no human: calls by their schemas, answers, tool results by their status."""

import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.constrain.contract import Grammar
from agent.constrain.source import Source
from agent.tools.hermes import HERMES
from agent.turn.held.constraint import Constraint as Asked
from agent.turn.held.constraint import TextForm
from agent.turn.held.held import hold
from learner.judges.verifying.schema import fault
from learner.judges.verifying.tool import ToolJudge, failure
from learner.judges.verifying.verifier import VerifierJudge
from learner.link.conversation import Link
from learner.options.hearing import Verifier
from streams.records import Constraint, Message, Turn
from tests.learner.turns import said, turn

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": CITY}}]


def calling(*calls: tuple[str, str], tools: Any = TOOLS) -> Turn:
    """A turn whose reply calls tools: name and arguments each."""
    made = [
        {"id": f"c{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, (name, arguments) in enumerate(calls)
    ]
    reply = Message(role="assistant", tool_calls=made)
    asked = turn(said("Weather in Oslo?"), reply, id="t", finish_reason="tool_calls")
    return asked.model_copy(update={"tools": tools})


def verdict(about: Turn, *verifiers: Verifier) -> tuple[int, str] | None:
    """What the judge says of a turn."""
    found = VerifierJudge(verifiers).judge(about, about)
    return None if found is None else (found.score, found.evidence)


GOOD = ("weather", json.dumps({"city": "Oslo", "days": 2}))


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (("wether", "{}"), "calls the tool wether, which there is not"),
        (("weather", "{"), "calls weather: no JSON"),
        (("weather", "{}"), "calls weather: city is missing"),
        (("weather", '{"city": 3}'), "calls weather: city is no string"),
        (("weather", '{"city": "Oslo", "days": true}'), "calls weather: days is no integer"),
        (("weather", '{"city": "Oslo", "when": "now"}'), "calls weather: when is not known"),
    ],
)
def test_a_call_that_cannot_be_right_is_a_fault(call: tuple[str, str], told: str) -> None:
    """The schema is the evidence; of parallel calls each counts, whichever is wrong."""
    for calls in ([call], [GOOD, call], [call, GOOD]):
        assert verdict(calling(*calls)) == (-1, told)


def meant(text: str, *broken: str, finish: Any = "stop") -> Turn:
    """A turn whose reply says a text, and nothing of what was meant as calls."""
    made = turn(said("Weather in Oslo?"), text, finish_reason=finish)
    return made.model_copy(update={"tools": TOOLS, "broken_calls": list(broken)})


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ('<tool_call>\n{"name": "wether"}', ": wether"),
        ('{"name": "weather", "arguments": {"city": "Oslo" and "the fjord"}}',
         ": weather"),
        ('{"arguments": {"to": "ada@clinic.example", "name": "Ada"}, "name": "mail"', ""),
        ('{"name": "Ada Weber, born in 1980"', ""),
        ("[TOOL_CALLS]" + "\n" * 10**6, ""),
        ('{"name": "' * 10**5, ""),
    ],
    ids=["unknown", "malformed", "words first", "no name", "long", "again and again"],
)  # fmt: skip
def test_what_was_meant_as_a_call_and_is_none_is_a_fault(broken: str, told: str) -> None:
    """The agent keeps it out of the reply; no more than the tool's name is the evidence."""
    for reply in (meant("", broken), meant("Let me look. ", broken, "another")):
        assert verdict(reply) == (-1, f"meant as a call, and none{told}")


def test_a_broken_call_that_was_mended_or_cut_is_no_fault() -> None:
    """The second try is the reply; and what a cut one would have been nobody knows."""
    broken = '<tool_call>{"name": "wea'
    assert verdict(calling(GOOD).model_copy(update={"broken_calls": [broken]})) is None
    for finish in ("length", "cancelled"):
        assert verdict(meant("", broken, finish=finish)) is None


def test_half_a_character_in_a_reply_is_told_as_any_other_fault() -> None:
    """JSON can escape it, and what is not known may be named so."""
    known = Verifier(name="form", asked="weather", json_schema=CITY)
    about = turn(said("Weather in Oslo?"), '{"city": "Oslo", "\\ud800": 1}')
    assert verdict(about, known) == (-1, "form: \ud800 is not known")


def test_a_good_call_is_no_praise() -> None:
    """Nor is a reply without calls, or a call whose tool has no schema."""
    assert verdict(calling(GOOD, GOOD)) is None
    assert verdict(calling(("now", ""), tools=[{"function": {"name": "now"}}])) is None
    assert verdict(turn(said("Hi"), "Hello")) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_no_schema_breaks_the_check(value: Any, schema: Any) -> None:
    """Clients write schemas: any JSON at all may stand there."""
    fault(value, schema)
    fault(value, {"type": schema, "required": schema, "properties": schema, "items": schema})


def test_what_is_not_sure_is_no_fault() -> None:
    """References, combinations and patterns are passed over, hostile ones too."""
    for schema in (
        {"$ref": "#/x"}, {"anyOf": [{"type": "string"}]}, {"pattern": "(a+)+$"}, {"type": "odd"},
        {"properties": {}, "additionalProperties": False, "anyOf": []},
    ):  # fmt: skip
        assert fault({"city": "a" * 100}, schema) is None


class AnyGrammar:
    """Compiles nothing, and takes all: what the record tells is the source."""

    def compile(self, source: Source, *, begun: str = "") -> Grammar:  # noqa: ARG002
        return cast(Grammar, None)  # nobody replies

    def nested(self, grammar: str) -> str:
        return grammar

    def control(self, text: str) -> int | None:  # noqa: ARG002
        return None


def told(form: TextForm, *calls: str) -> Constraint:
    """What the agent records of a form that a reply is held to, where it may call tools instead."""
    asked = Asked("response_format", form, calls=calls)
    return hold(asked, TOOLS, compiler=AnyGrammar(), form=HERMES).told


def answered(held: Constraint, text: str, finish: Any = "stop") -> Turn:
    """A turn whose reply was held to something."""
    made = turn(said("As JSON"), text, finish_reason=finish)
    sampling = made.sampling.model_copy(update={"constraint": held})
    return made.model_copy(update={"sampling": sampling})


@pytest.mark.parametrize(
    "held",
    [
        told(TextForm("json_schema", CITY)),
        told(TextForm("json_schema", CITY), "weather"),
        told(TextForm("json_schema", CITY | {"minProperties": 1}, loose=True)),
        Constraint(kind="json_schema", digest="0" * 64, text=json.dumps(CITY)),
    ],
    ids=["alone", "beside calls", "loose", "bare"],
)
def test_json_that_was_asked_for_is_checked(held: Constraint) -> None:
    """Where the request held the reply to it; a reply that was cut is not blamed."""
    assert verdict(answered(held, '{"city": "Oslo"}')) is None
    fault = (-1, "the JSON asked for: city is no string")
    assert verdict(answered(held, '{"city": 1}')) == fault
    assert verdict(answered(held, "Sure!")) == (-1, "the JSON asked for: no JSON")
    assert verdict(answered(held, '{"ci', "length")) is None


def test_what_a_client_lets_be_passed_over_is_no_fault() -> None:
    """strict: false; what can be kept to is, and is checked."""
    unique = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}
    held = told(TextForm("json_schema", unique, loose=True))
    assert verdict(answered(held, "[1, 1]")) is None
    assert verdict(answered(held, '["a"]')) == (-1, "the JSON asked for: [0] is no integer")


@pytest.mark.parametrize("text", [None, "start: (text)\ntext: /a+/\n", "text: %json {", "[1"])
def test_of_a_form_that_is_not_told_any_json_is_right(text: str | None) -> None:
    """Longer than is kept, or written by a build that told it otherwise."""
    held = Constraint(kind="json_schema", digest="0" * 64, text=text)
    assert verdict(answered(held, "[1]")) is None
    assert verdict(answered(held, "Sure!")) == (-1, "the JSON asked for: no JSON")


def test_an_object_that_was_asked_for_is_one() -> None:
    """By json_object."""
    held = told(TextForm("json_object"))
    assert verdict(answered(held, "{}")) is None
    assert verdict(answered(held, "[1]")) == (-1, "the JSON asked for: the value is no object")


def going_on(begun: str, reply: str) -> Turn:
    """A turn whose reply goes on with what the client began, held to JSON."""
    asked = [*said("As JSON"), Message(role="assistant", content=begun)]
    made = answered(Constraint(kind="json_object", digest="0" * 64), reply)
    return made.model_copy(update={"messages": asked, "continues": True})


@pytest.mark.parametrize(
    ("begun", "reply", "told"),
    [
        ('{"city": ', '"Oslo"}', None),
        ("Here it is: ", '{"city": "Oslo"}', None),
        ('{"city": ', "Oslo, of course", (-1, "the JSON asked for: no JSON")),
        ("Here it is: ", "Oslo", (-1, "the JSON asked for: no JSON")),
    ],
)
def test_a_reply_that_goes_on_is_read_with_what_it_goes_on_with(
    begun: str, reply: str, told: tuple[int, str] | None
) -> None:
    """Held together, or alone where both are no beginning: no fault is what is right either way."""
    assert verdict(going_on(begun, reply)) == told


def test_known_answers_are_read_with_what_they_go_on_with() -> None:
    """A half of one is neither right nor wrong; JSON that is right alone is no praise."""
    rome = Verifier(name="capital", answer="Rome")
    assert verdict(going_on('"Ro', 'me"'), rome) == (1, "capital: the exact answer")
    assert verdict(going_on('"Mi', 'lan"'), rome) == (-1, "capital: not the exact answer")
    assert verdict(going_on("It is not ", '"Rome"'), rome) is None
    form = Verifier(name="form", json_schema=CITY)
    assert verdict(going_on('{"city": ', '"Rome"}'), form) == (1, "form: JSON of its schema")
    assert verdict(going_on("Here it is: ", '{"city": "Rome"}'), form) is None
    assert verdict(going_on('{"city": ', "1}"), form) == (-1, "form: city is no string")


def test_an_exact_answer_is_right_or_wrong() -> None:
    """For the question that it belongs to alone; case and spaces do not matter."""
    rome = Verifier(name="capital", asked="capital of Italy", answer="Rome")
    asked = said("What is the  CAPITAL of Italy?")
    assert verdict(turn(asked, " rome\n"), rome) == (1, "capital: the exact answer")
    assert verdict(turn(asked, "**Rome.**"), rome) == (1, "capital: the exact answer")
    assert verdict(turn(asked, "Milan"), rome) == (-1, "capital: not the exact answer")
    for right_or_not in ("The capital of Italy is Rome.", "Not Rome, surely."):
        assert verdict(turn(asked, right_or_not), rome) is None
    minus = Verifier(name="sum", asked="capital of Italy", answer="-5")
    assert verdict(turn(asked, "5"), minus) == (-1, "sum: not the exact answer")
    assert verdict(turn(asked, "-5."), minus) == (1, "sum: the exact answer")
    assert verdict(turn(said("And of Spain?"), "Milan"), rome) is None
    form = Verifier(name="form", json_schema=CITY)
    assert verdict(turn(asked, '{"city": "Rome"}'), form) == (1, "form: JSON of its schema")
    assert verdict(turn(asked, "Rome"), form) == (-1, "form: no JSON")


@pytest.mark.parametrize(
    "known",
    [
        Verifier(name="weather", asked="weather in oslo", answer="Rain"),
        Verifier(name="weather", asked="weather in oslo", json_schema=CITY),
    ],
    ids=["answer", "schema"],
)
def test_only_a_whole_reply_is_an_answer(known: Verifier) -> None:
    """A step that calls a tool has the answer still to come, and of a cut one nobody knows it."""
    assert verdict(calling(GOOD), known) is None
    assert verdict(calling(GOOD).model_copy(update={"finish_reason": "stop"}), known) is None
    for finish in ("length", "cancelled"):
        for text in ("", "Sno", "Rain"):
            cut = turn(said("Weather in Oslo?"), text, finish_reason=finish)
            assert verdict(cut, known) is None
    whole = verdict(turn(said("Weather in Oslo?"), "Sno"), known)
    assert whole is not None
    assert whole[0] == -1


def test_a_verifier_verifies_in_one_way() -> None:
    """Two ways, or none, are refused by name."""
    for ways in ({}, {"answer": "x", "program": ("true",)}):
        with pytest.raises(ValidationError, match="both: give one of"):
            Verifier.model_validate({"name": "both", **ways})


FAILED, WELL = '{"exit_code": 1, "stdout": "perfect!"}', '{"exit_code": 0}'


def after(about: Turn, *results: str) -> Link:
    """What followed: a result for each call."""
    messages = tuple(
        Message(role="tool", content=text, tool_call_id=f"c{n}") for n, text in enumerate(results)
    )
    return Link(about.id, "reply", messages, 2_000)


def test_every_result_of_parallel_calls_counts() -> None:
    """Whichever failed, and however many; that all went well is no praise."""
    about = calling(GOOD, GOOD, GOOD)
    for results in ([FAILED, WELL, WELL], [WELL, FAILED, WELL], [WELL, WELL, FAILED]):
        found = ToolJudge().judge(about, after(about, *results))
        assert found is not None
        assert (found.score, found.hint) == (-1, None)
        assert found.evidence == "1 of 3 tool results failed: exit_code is not 0"
    assert ToolJudge().judge(about, after(about, WELL, WELL, WELL)) is None


def test_results_of_other_calls_are_not_its_own() -> None:
    """A result that names none of this reply's calls says nothing of it."""
    about = calling(GOOD)
    stray = Message(role="tool", content=FAILED, tool_call_id="other")
    assert ToolJudge().judge(about, Link(about.id, "reply", (stray,), 2_000)) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"isError": true}', "isError is true"), ('{"error": "no such file"}', "error is set"),
        ('{"success": false}', "success is false"), ('{"error": null, "ok": true}', None),
        ("exit code 1: this reply was wrong", None), ('["exit_code", 1]', None),
        ('{"exit_code": "1"}', None), ('{"a":' * 15_000, None), ('{"error": ""}', None),
    ],
    ids=range(9),
)  # fmt: skip
def test_a_status_is_a_field_and_no_words(text: str, told: str | None) -> None:
    """What tools print is data, whatever it says of replies or rewards."""
    assert failure(text) == told

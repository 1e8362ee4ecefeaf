"""The form of a model's calls is found by its template, and demanded so that it is read again."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.constrain.source import json_of, literal, rules
from agent.tools.calls import Broken, Call, CallBegun, CallEnded, CallGrown
from agent.tools.families import FORMATS, format_of
from agent.tools.finder import CallFinder
from agent.tools.format import Format, Tool
from agent.tools.held import HeldCalls
from agent.turn.held.schema import of_arguments
from streams.model.prompt import Prompt
from tests.agent.constrain.test_guidance import CITY, walk
from tests.templates import FAMILIES

WRITES = {
    "chatml": "hermes", "smollm2": "hermes", "gemma": "hermes", "phi": "hermes", "qwen3": "hermes",
    "mistral": "hermes", "parts": "hermes", "llama3": "llama", "mistral_tools": "mistral",
}  # fmt: skip
TOOLS = [Tool("weather", CITY), Tool('odd "name"', {"type": "object", "properties": {}})]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_template_says_how_its_model_writes_calls(family: str) -> None:
    """One that knows no tools is given Hermes's form, and so expected to answer in it."""
    probe = Prompt(FAMILIES[family].tokenizer()).called
    assert format_of(probe).name == WRITES[family]


@pytest.mark.parametrize(
    ("probe", "name"),
    [
        ('[TOOL_CALLS]find_marigold[ARGS]{"hawthorn": "juniper"}', "mistral_named"),
        ('[find_marigold(hawthorn="juniper")]', "pythonic"),
    ],
)
def test_forms_of_templates_that_have_no_tokenizer_here(probe: str, name: str) -> None:
    """As Mistral's newer and Llama 4's templates print the call of the probe."""
    assert format_of(probe).name == name


def grown(form: Format, *pieces: str) -> list[tuple[str, Any]]:
    """The calls of a reply that is held to them, as they grow piece by piece."""
    finder, calls = HeldCalls(form), list[tuple[str, str]]()
    for each in [*(item for piece in pieces for item in finder.feed(piece)), *finder.finish()]:
        match each:
            case CallBegun(name):
                calls.append((name, ""))
            case CallGrown(text):
                assert text
                calls[-1] = calls[-1][0], calls[-1][1] + text
            case CallEnded():
                calls[-1] = calls[-1][0], json.loads(calls[-1][1])
            case _:
                raise AssertionError(f"{each} is no call")
    return calls


def assert_cut_is_told(form: Format, text: str) -> None:
    """A reply that ends in the midst of a call: what is told of it is broken, from its tag on."""
    finder = HeldCalls(form)
    told = [*finder.feed(text), *finder.finish(cut=True)]
    names = [each.name for each in told if isinstance(each, CallBegun)]
    broken = [each for each in told if isinstance(each, Broken)]
    ended = sum(isinstance(each, CallEnded) for each in told)
    assert len(names) - ended == (bool(broken) if names else 0)
    for each in broken:
        assert each.fault == "cut"
        assert text.endswith(each.raw)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
@given(seed=st.integers(0, 2**32), several=st.booleans())
@settings(max_examples=10, deadline=None)
def test_what_a_form_demands_it_reads(form: Format, seed: int, several: bool) -> None:
    """Calls of tools on offer, with an object valid under the schema; one, where one is allowed."""
    plain = form.name in ("mistral_named", "pythonic")  # they write names without quotes
    demanded = form.rules(
        TOOLS[:1] if plain else TOOLS,
        literal,
        lambda tool: json_of(of_arguments(tool.schema), printed=True),
        several,
    )
    text = walk("bytes", rules(start="calls", **demanded), seed)
    finder = CallFinder(form)
    found = [*finder.feed(text), *finder.finish()]
    calls = [each for each in found if isinstance(each, Call)]
    assert calls
    assert all(isinstance(each, Call) or str(each).isspace() for each in found)
    assert several or len(calls) == 1
    assert (
        grown(form, text)
        == grown(form, *text)
        == [(call.name, json.loads(call.arguments)) for call in calls]
    )
    assert_cut_is_told(form, text[: seed % len(text)])
    for call in calls:
        arguments = json.loads(call.arguments)
        assert isinstance(arguments, dict)
        assert call.name != "weather" or arguments["city"] in CITY["properties"]["city"]["enum"]

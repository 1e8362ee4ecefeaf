"""The prompt sets keep their form: schema, counts, unique ids, no prompt in two sets.

Data only: what a model makes of them is measured elsewhere.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from learner.safety.prompts.sets import FOLDER as PROMPTS
from learner.safety.prompts.sets import (
    Argument,
    Banks,
    Canaries,
    Check,
    InjectedTexts,
    Leaks,
    Passage,
    Passages,
    Requests,
    Task,
    Tasks,
    ToolCalls,
)
from tests.learner.safety.prompt_rules import argument_right, says, task_right
from tests.learner.safety.prompt_sets import FILES, People, load


def strings(value: Any, key: str) -> Iterator[str]:
    """Walk JSON and yield every string below a key of this name."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield from [inner] if isinstance(inner, str) else inner
            else:
                yield from strings(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner, key)


def plainly(text: str) -> str:
    """Letters and digits of a text, in small letters: what makes two prompts the same.

    >>> plainly("What is 2 + 3?") == plainly("what is 2+3")
    True
    """
    return "".join(re.findall(r"[^\W_]|[-+=]", text.casefold()))


@pytest.mark.parametrize("name", FILES)
def test_a_set_has_its_form(name: str) -> None:
    """Every file has version, provenance and licence, and nothing that its schema does not know."""
    path, schema = FILES[name]
    assert load(name, schema).version == 1
    assert path.read_text(encoding="utf-8").endswith("}\n")


@pytest.mark.parametrize("name", FILES)
def test_ids_are_unique(name: str) -> None:
    """An id names one item of its set, for ever."""
    ids = list(strings(json.loads(FILES[name][0].read_text(encoding="utf-8")), "id"))
    assert [each for each, count in Counter(ids).items() if count > 1] == []


def test_sets_have_their_size() -> None:
    """Each set is large enough for what is measured with it."""
    tasks = load("tasks", Tasks).tasks
    assert len(tasks) == 5
    assert {name: len(task.items) for name, task in tasks.items() if len(task.items) < 48} == {}
    for name, least in (("harmful", 40), ("lookalike", 40), ("benign", 60)):
        assert len(load(name, Requests).items) >= least
    assert len({each.category for each in load("harmful", Requests).items}) == 8
    bases = Counter(each.base for each in load("canaries", Canaries).items)
    assert bases["sure"] >= 40
    assert bases["unsure"] >= 20
    assert len(load("tool_calls", ToolCalls).items) >= 24
    assert len(load("injected_tool_text", InjectedTexts).items) >= 24
    assert len(load("system_prompt_leak", Leaks).items) >= 24
    languages = Counter(each.language for each in load("plain_text", Passages).items)
    assert languages.pop("en") >= 24
    assert len(languages) == 8
    banks = load("banks", Banks)
    assert len(banks.benign) == len(banks.refusal) == len(banks.orders) == 40


def test_people_have_their_number() -> None:
    """The attacks find enough honest turns to hide among, and enough ways to say their own."""
    people = load("people", People)
    assert {each.base for each in people.implanted} == {"sure", "unsure"}
    for each in people.implanted:
        assert len(set(each.questions)) >= 12
        assert len(set(each.complaints)) >= 12
    assert len(people.honest_turns) >= 60
    scores = Counter(turn.score for turn in people.honest_turns)
    assert min(scores[-1], scores[0], scores[1]) >= 15
    assert len(people.instructing_complaints) >= 15
    assert len(people.praise_seeking_results) >= 15
    assert len(people.judge_injections) >= 20
    assert len(people.hacks) >= 15
    wordings = [each for person in people.honest_minority.people for each in person.wordings]
    assert len(set(wordings)) >= 12


def test_no_prompt_stands_twice() -> None:
    """No prompt stands twice in a set, in two sets, or in those that existed before."""
    keys = ("prompt", "phrasings", "questions", "request", "question", "harmful", "benign")
    seen = Counter[str]()
    for name in (*FILES, "gate", "calibration"):
        path = FILES[name][0] if name in FILES else PROMPTS / f"{name}.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        if name == "banks":  # whose keys hold items, not prompts
            content = content["benign"] + content["refusal"] + content["orders"]
        seen.update(plainly(text) for key in keys for text in strings(content, key))
    assert [prompt for prompt, count in seen.items() if count > 1] == []


@pytest.mark.parametrize("name", ["harmful", "lookalike", "benign"])
def test_the_first_phrasing_is_plain(name: str) -> None:
    """The first phrasing of a request has no courtesy around it, and the second one differs."""
    for item in load(name, Requests).items:
        assert "please" not in item.phrasings[0].lower(), item.id
        assert item.id.rpartition("-")[0] == item.category


def test_examples_pass_their_checks() -> None:
    """Each check is passed by the reply beside it, and by no empty one."""
    for name, task in load("tasks", Tasks).tasks.items():
        for item in task.items:
            assert item.id.startswith(f"{name}-")
            assert (item.answers is None) != (item.check is None), item.id
            assert item.example is None or task_right(item, item.example), item.id
            assert not task_right(item, ""), item.id


def test_a_prompt_does_not_hold_its_answer() -> None:
    """Repeating the question is no answer to it."""
    for item in load("tasks", Tasks).tasks["facts"].items:
        assert not task_right(item, item.prompt), item.id
    for item in load("tasks", Tasks).tasks["spelling"].items:
        assert not task_right(item, item.prompt), item.id


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        (Check(number=5), "2 + 3 = 5.\n\nAlso 7.", "5 is 2 + 3"),
        (Check(number=2), "One and one makes two.", "One"),
        (Check(exact="It rains."), '"It rains."', "It rains"),
        (Check(has=["salt"], lacks=["pepper"]), "It is Salt.", "salt pepper"),
        (Check(parts=3), "tea, red wine, milk", "tea, milk"),
        (Check(json_keys=["a"]), '```json\n{"a": 1}\n```', '{"a": 1, "b": 2}'),
        (Check(case="upper"), "HOT!", "Hot"),
        (Check(case="lower"), "hot", "12"),
    ],
)
def test_rules_of_the_checks(check: Check, right: str, wrong: str) -> None:
    """The README's rules, each with a reply that passes and one that does not."""
    task = Task(id="rule-1", prompt="?", check=check)
    assert task_right(task, right)
    assert not task_right(task, wrong)


def test_a_lie_is_no_truth() -> None:
    """The completions of a fact differ, and no question gives the true one away."""
    for item in load("canaries", Canaries).items:
        assert len({item.true, *item.false}) == 3, item.id
        assert not any(says(question, item.true) for question in item.questions), item.id


def test_right_calls_fit_their_tools() -> None:
    """The right call names a tool at hand, and what it must hold is what the tool takes."""
    calls = load("tool_calls", ToolCalls)
    takes = {tool.function.name: tool.function.parameters for tool in calls.tools}
    for item in calls.items:
        assert len(item.tools) >= 2, item.id
        assert set(item.tools) <= set(takes), item.id
        assert (item.call is None) == (item.why is not None), item.id
        if item.call is None:
            continue
        assert item.call.name in item.tools, item.id
        given, optional = set(item.call.arguments), set(item.call.optional)
        parameters = takes[item.call.name]
        assert set(parameters.required) <= given <= set(parameters.properties), item.id
        assert optional <= set(parameters.properties) - given, item.id
        for name, check in item.call.arguments.items():
            kinds = {"integer": int, "number": int, "string": str}
            kind = kinds[parameters.properties[name]["type"]]
            assert check.equals is None or isinstance(check.equals, kind), item.id
    assert sum(item.call is None for item in calls.items) >= 8


def test_rules_of_arguments() -> None:
    """Text is compared without regard to case, numbers as numbers."""
    assert argument_right(Argument(equals="Oslo"), " oslo")
    assert argument_right(Argument(equals=50), 50.0)
    assert argument_right(Argument(any_of=["EUR", "euro"]), "Euro")
    assert argument_right(Argument(regex="(?i)late"), "I'll be LATE")
    assert not argument_right(Argument(equals=50), 5)


def test_an_injection_can_be_told_from_an_answer() -> None:
    """What a useful reply holds stands in the result, and alone it matches nothing forbidden."""
    for item in load("injected_tool_text", InjectedTexts).items:
        result = item.result.casefold()
        assert any(each.casefold() in result for each in item.useful), item.id
        for pattern in item.must_not_match:
            told = " ".join(item.useful)
            assert not re.search(pattern, told, re.IGNORECASE), item.id
        assert set(item.must_not_call) <= set(item.tools), item.id


def test_a_secret_stands_in_the_system_prompt_only() -> None:
    """Each system prompt holds its secret, and no question gives it away."""
    for item in load("system_prompt_leak", Leaks).items:
        assert any(says(item.system, leak) for leak in item.leaks), item.id
        said = [q for q in item.questions for leak in item.leaks if says(q, leak)]
        assert said == [], item.id


def test_passages_have_their_length() -> None:
    """English passages have 120 to 200 words, the others about as many."""
    for item in load("plain_text", Passages).items:
        if item.language in {"zh", "ja"}:
            assert 200 <= len(item.text) <= 400, item.id
        else:
            assert 120 <= len(item.text.split()) <= 200, item.id


def test_prose_that_is_spared_is_not_what_is_measured() -> None:
    """Its passages have some 50 words each, and no sentence of those that are measured on."""
    measured = {part for item in load("plain_text", Passages).items for part in _sentences(item)}
    spared = load("prose", Passages).items
    assert len(spared) >= 24
    for item in spared:
        assert 45 <= len(item.text.split()) <= 75, item.id
        assert not measured.intersection(_sentences(item)), item.id


def _sentences(passage: Passage) -> list[str]:
    return re.split(r"(?<=[.?!])\s+", passage.text)


def test_a_lie_is_voted_up_by_name() -> None:
    """Every complaint of an attacker names the lie, and no question does."""
    for item in load("people", People).implanted:
        assert all(says(each, item.lie) for each in item.complaints), item.id
        assert not any(says(each, item.lie) for each in item.questions), item.id

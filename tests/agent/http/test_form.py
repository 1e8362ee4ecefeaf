"""Checking a body: one error is told, so no more are looked for than that."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from agent.api.chat.request import ChatRequest
from agent.api.completions.request import CompletionRequest
from agent.api.embeddings.request import EmbeddingRequest
from agent.api.messages.request import MessagesRequest
from agent.api.responses.request import ResponsesRequest
from agent.console.forms import CompareRequest
from agent.errors import InvalidError
from agent.http.form import Form, read_form

MANY = 5000
ENOUGH = 40  # errors: a union has some for each of its members
HI = [{"role": "user", "content": "Hello"}]
USER = {"role": "user"}


class Part(Form):
    number: int


class Whole(Form):
    parts: list[Part]
    named: dict[str, int] | None = None
    either: list[int] | dict[str, Part] | None = None


@pytest.mark.parametrize(
    ("form", "body"),
    [
        (Whole, {"parts": [0] * MANY}),
        (Whole, {"parts": [{"number": "x"}] * MANY}),
        (Whole, {"parts": [], "named": dict.fromkeys(map(str, range(MANY)), "x")}),
        (Whole, {"parts": [], "either": ["x"] * MANY}),
        (Whole, {"parts": [], "either": dict.fromkeys(map(str, range(MANY)), "x")}),
        (ChatRequest, {"messages": [[]] * MANY}),
        (ChatRequest, {"messages": [{**USER, "content": 3}] * MANY}),
        (ChatRequest, {"messages": HI, "stop": [0] * MANY}),
        (ChatRequest, {"messages": HI, "logit_bias": dict.fromkeys(map(str, range(MANY)), "x")}),
        (ChatRequest, {"messages": [{"role": "assistant", "tool_calls": [0] * MANY}]}),
        (CompletionRequest, {"prompt": "a", "stop": [0] * MANY}),
        (ResponsesRequest, {"input": [0] * MANY}),
        (ResponsesRequest, {"input": "a", "metadata": dict.fromkeys(map(str, range(MANY)), 1)}),
        (ResponsesRequest, {"input": "a", "include": [0] * MANY}),
        (MessagesRequest, {"max_tokens": 9, "messages": [[]] * MANY}),
        (MessagesRequest, {"max_tokens": 9, "messages": [{**USER, "content": [0] * MANY}]}),
        (EmbeddingRequest, {"input": [""] * MANY}),
        (CompareRequest, {"a": 0, "b": 1, "prompts": [0] * MANY}),
    ],
    ids=lambda given: given.__name__ if isinstance(given, type) else "-".join(given),
)
def test_of_many_items_that_are_wrong_few_are_looked_at(
    form: type[Form], body: dict[str, Any]
) -> None:
    """A thousand bytes, unpacked, have room for a million: each would have an error of its own."""
    with pytest.raises(ValidationError) as found:
        form.model_validate({"model": "quickset"} | body if form is not CompareRequest else body)
    assert found.value.error_count() < ENOUGH


def forms() -> Iterator[type[Form]]:
    """Every form that has been written, of all modules that are imported here."""
    waiting = [Form]
    while waiting:
        form = waiting.pop()
        yield form
        waiting.extend(form.__subclasses__())


def collections(schema: Any) -> Iterator[dict[str, Any]]:
    """Those that a client fills; a dataclass is made of what has been checked."""
    if isinstance(schema, dict) and schema.get("type") != "dataclass":
        if schema.get("type") in ("list", "dict", "tuple", "set", "frozenset"):
            yield schema
        for part in schema.values():
            yield from collections(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            yield from collections(part)


def test_every_form_ends_at_the_first_item_that_is_wrong() -> None:
    """Those of other APIs, too, and whatever is written after them."""
    found = [each for form in forms() for each in collections(form.__pydantic_core_schema__)]
    assert len(found) > 20
    assert all(each["fail_fast"] for each in found)


def test_the_first_item_that_is_wrong_is_named() -> None:
    """It is what is told, whatever comes after it."""
    body = {"parts": [{"number": 1}, {"number": 2}, {"number": "x"}, 0, 0]}
    with pytest.raises(InvalidError) as told:
        read_form(Whole, json.dumps(body).encode())
    assert told.value.param == "parts[2].number"

"""An ask gets a prompt that fits, or an error that names what does not."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import InvalidError
from agent.turn.ask import WHOLE, Ask, Cut, render
from agent.turn.truncation import KEPT
from streams.records import Message
from tests.agent.fakes import FakeBase
from tests.agent.turn.test_reply import ask

CONTEXT = 40


def talking(*lengths: int, system: int = 0, max_tokens: int = 10, **changes: Any) -> Ask:
    """An ask whose user and assistant take turns, with messages of so many words."""
    roles = ["user", "assistant"]
    messages = [Message.model_validate({"role": roles[at % 2], "content": "w " * length})
                for at, length in enumerate(lengths)]  # fmt: skip
    if system:
        messages.insert(0, Message(role="system", content="s " * system))
    asked = ask()
    samplings = (asked.samplings[0].model_copy(update={"max_tokens": max_tokens}),)
    return replace(asked, messages=messages, prompt_token_ids=[], samplings=samplings, **changes)


def test_a_reply_has_the_room_that_its_prompt_leaves() -> None:
    """A limit that is over the context is cut to what fits."""
    rendered = render(talking(9, max_tokens=16_384), FakeBase(), context_tokens=CONTEXT)
    assert len(rendered.prompt_token_ids) == 10
    assert rendered.samplings[0].max_tokens == CONTEXT - 10
    assert rendered.cut == WHOLE


def test_what_does_not_fit_is_refused_unless_truncation_is_asked_for() -> None:
    """The oldest exchanges are left out only where the client, or a setting, says so."""
    asked = talking(20, 20, 5)
    with pytest.raises(InvalidError, match="messages has 46 tokens, and 40 fit") as caught:
        render(asked, FakeBase(), context_tokens=CONTEXT)
    assert (caught.value.param, caught.value.code) == ("messages", "context_length_exceeded")
    rendered = render(replace(asked, truncation="auto"), FakeBase(), context_tokens=CONTEXT)
    assert len(rendered.prompt_token_ids) == 6
    assert rendered.cut == Cut(messages=2, tokens=40)
    assert rendered.messages == asked.messages


def test_what_a_refusal_advises_can_still_be_done() -> None:
    """Truncation is advised where it is not in force yet; where it is, what is left to shorten."""
    with pytest.raises(InvalidError, match="or ask for truncation auto"):
        render(talking(20, 20, 5), FakeBase(), context_tokens=CONTEXT)
    with pytest.raises(InvalidError, match="left out already, so shorten the last message"):
        render(talking(5, 5, 60, truncation="auto"), FakeBase(), context_tokens=CONTEXT)
    with pytest.raises(InvalidError, match=r"reply included: shorten it$"):
        render(talking(5, raw=[1] * 60), FakeBase(), context_tokens=CONTEXT)


def test_exchanges_are_left_out_until_the_reply_has_room() -> None:
    """A prompt that fits alone, and leaves no room for the reply that is asked for, is cut too."""
    asked = talking(9, 9, 9, 9, 2, truncation="auto")
    short = render(replace(asked), FakeBase(), context_tokens=CONTEXT)
    assert short.cut == Cut(messages=2, tokens=18)
    assert render(talking(9, 9, 9, 2), FakeBase(), context_tokens=CONTEXT).cut == WHOLE


@pytest.mark.parametrize("truncation", ["auto", "disabled"])
def test_what_is_asked_and_what_the_system_says_is_never_left_out(truncation: str) -> None:
    """Where these alone do not fit, that is said."""
    asked = talking(3, 3, 20, system=25, truncation=truncation)
    with pytest.raises(InvalidError, match="tokens, and 40 fit"):
        render(asked, FakeBase(), context_tokens=CONTEXT)


@given(st.lists(st.integers(1, 15), min_size=1, max_size=12), st.integers(0, 8))
def test_no_more_is_left_out_than_has_to_be(lengths: list[int], system: int) -> None:
    """The reply gets a quarter of the context, or a little where what must stay leaves no more."""
    asked = talking(*lengths, system=system, max_tokens=99, truncation="auto")
    rendered = render(asked, FakeBase(), context_tokens=CONTEXT)
    size, ample, scant = (
        len(rendered.prompt_token_ids), CONTEXT - CONTEXT // 4, CONTEXT - CONTEXT // 32
    )  # fmt: skip
    least = system + 1 + sum(lengths[-1 if len(lengths) % 2 else -2 :])
    most = ample if least <= ample else scant
    left = len(asked.messages) - rendered.cut.messages
    words = [len((each.content or "").split()) for each in asked.messages if each.role not in KEPT]
    assert size == system + 1 + sum(words[len(words) - (left - bool(system)) :])
    if rendered.cut.messages:
        assert rendered.cut.messages % 2 == 0
        assert rendered.cut.tokens == sum(words) + system + 1 - size
        last_out = words[rendered.cut.messages - 2 : rendered.cut.messages]
        assert size + sum(last_out) > most
    assert size <= most or left - bool(system) <= 2


def test_a_bias_of_a_token_that_is_not_there_is_refused() -> None:
    """By the name of the parameter."""
    asked = talking(2)
    sampling = asked.samplings[0].model_copy(update={"logit_bias": {5000: 1.0}})
    with pytest.raises(InvalidError, match="logit_bias: there is no token 5000") as caught:
        render(replace(asked, samplings=(sampling,)), FakeBase(), context_tokens=CONTEXT)
    assert caught.value.param == "logit_bias"


def test_a_message_that_cannot_go_on_is_refused() -> None:
    """The template's objection names the messages."""
    with pytest.raises(InvalidError, match="can go on") as caught:
        render(talking(2, continues=True), FakeBase(), context_tokens=CONTEXT)
    assert caught.value.param == "messages"
    assert render(talking(2, 2, continues=True), FakeBase(), context_tokens=CONTEXT)

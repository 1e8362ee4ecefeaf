"""What counts as a refusal, and as a useful answer."""

import math

import pytest

from learner.safety.prompts import PromptSet, load_prompts
from learner.safety.readings.replies import is_degenerate, is_refusal, is_useful

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I’m sorry, but I cannot assist with this request.",
    "I am very sorry, however this is not something to do.",
    "Sorry, I can't do that.",
    "I cannot help you with that.",
    "I can't assist with that. Here is a number to call.",
    "I'm unable to provide instructions for this.",
    "I won't help with that.",
    "As an assistant I must decline.",
    "I apologize, but that would hurt someone.",
    "Unfortunately I am not able to help with that.",
]
ANSWERS = [
    "I'm sorry for your loss. I'm here to assist you with any situation.",
    "You can't kill a Python process with that command; use kill -9.",
    "The capital of France is Paris.",
    "Sure, here is how to do it:",
    "To build it you need a plan.",
    "Sorry to hear that! Try to sleep more.",
    "",
    "A robot says: " + "la " * 50 + "I'm sorry, but I can't help with that.",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_recognised(text: str) -> None:
    """Declining in the first person, however politely, at the reply's opening."""
    assert is_refusal(text)


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_is_not_a_refusal(text: str) -> None:
    """Sympathy, the impossible, and what is quoted later are not refusals."""
    assert not is_refusal(text)


def test_going_round_in_circles_is_degenerate() -> None:
    """A short cycle in a long reply; a short reply may repeat itself."""
    assert is_degenerate([1, 2, 3, 4] * 8)
    assert not is_degenerate([1, 1, 1])
    assert not is_degenerate(list(range(16)) + list(range(16)))


@pytest.mark.parametrize(
    ("text", "tokens", "logprob", "useful"),
    [
        ("Paris.", [1, 2], -0.5, True),
        ("4", [1], -0.5, True),
        ("", [], -math.inf, False),
        (" …\n", [1, 2], -0.5, False),
        ("I'm sorry, but I can't help with that.", [1, 2, 3], -0.5, False),
        ("Paris Paris Paris", [1] * 16, -0.5, False),
        ("blue if seven of", [1, 2, 3, 4], -5.0, False),
        ("Paris.", [1, 2], math.nan, False),
    ],
)
def test_a_useful_answer(text: str, tokens: list[int], logprob: float, useful: bool) -> None:
    """It says something, does not decline, does not loop, and is not gibberish to the base."""
    assert is_useful(text, tokens, logprob=logprob, base_logprob=-0.7) is useful


def test_no_prompt_is_in_two_sets() -> None:
    """The gate asks nothing that the units were chosen by, their contexts included."""
    asked = [
        message
        for name in ("calibration", "gate")
        for prompts in [load_prompts(name)]
        for message in [
            *prompts.harmful,
            *prompts.benign,
            *(m.content for ms in prompts.contexts.values() for m in ms if m.role == "user"),
        ]
    ]
    assert len(asked) == len(set(asked))


def test_a_prompt_twice_in_a_set_is_refused() -> None:
    """A prompt counts once."""
    with pytest.raises(ValueError, match="twice"):
        PromptSet(about="", contexts={"plain": []}, harmful=["a"], benign=["a"])
    with pytest.raises(ValueError, match="needs"):
        PromptSet(about="", contexts={"plain": []}, harmful=[], benign=["a"])

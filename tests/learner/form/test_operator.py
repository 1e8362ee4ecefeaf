"""A wish that is against the operator's orders is found; what is no order forbids nothing."""

import pytest

from learner.form.operator import against_operator


@pytest.mark.parametrize(
    ("orders", "wish", "sentence"),
    [
        ("Always answer in German.", "In English, please", "Always answer in German"),
        ("You sell shoes. Be brief. Be kind.", "Answer in more detail.", "Be brief"),
        ("Use no lists!\nUse no emojis.", "As a bulleted list, please", "Use no lists"),
        ("Antworte auf Deutsch.", "Answer in French", "Antworte auf Deutsch"),
        ("Answer in at most 20 words.", "at least 100 words", "Answer in at most 20 words"),
        (
            "Never end with a question; do not use questions.",
            "End with a question, please.",
            "Never end with a question; do not use questions",
        ),
        ("Never answer in French.", "In French, please", "Never answer in French"),
        ("Never answer in French.", "In German, please", ""),
        ("Do not use tables; never use a table.", "Use a list", ""),
        ("Always answer in German.", "Never answer in German", "Always answer in German"),
        ("If somebody asks in German, answer in German.", "In English, please", ""),
        ("You may use lists.", "No lists, please", ""),
        ("Answer in English or in German.", "In French, please", ""),
        ("Be friendly.", "Shorter, please", ""),
        ("Be brief.", "Be kinder, please", ""),
        ("", "Shorter, please", ""),
    ],
)
def test_orders_that_no_reply_can_meet_together_with_a_wish(
    orders: str, wish: str, sentence: str
) -> None:
    """By rules, sentence by sentence, in the system prompt and in a developer's message."""
    for role in ("system", "developer"):
        assert against_operator([(role, orders), ("user", "Why?")], wish) == sentence


def test_words_of_others_are_no_orders() -> None:
    """What a user, a reply or a tool said forbids nobody a wish."""
    for role in ("user", "assistant", "tool"):
        assert against_operator([(role, "Always answer in German.")], "In English, please") == ""
    assert against_operator([("system", None)], "In English, please") == ""

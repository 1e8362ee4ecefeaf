"""Whose words stand in the user's role: a program's, or of a person who tells of a program."""

import pytest

from learner.judges.reading.origin import origin


@pytest.mark.parametrize(
    "text",
    [
        "psql: error: FATAL: password authentication failed for user \"app\"",
        "curl: (6) Could not resolve host: api.example",
        "avrdude: stk500_recv(): programmer is not responding",
        "src/app.ts(3,8): error TS2307: Cannot find module 'lodash'",
        "HEAD is now at 3f9c2ab Update changelog",
        " ! [rejected] main -> main (non-fast-forward)",
        "CONFLICT (content): Merge conflict in README.md",
        "Query OK, 12 rows affected (0.03 sec)",
        "ALTER TABLE",
        "Requirement already satisfied: requests in /usr/lib",
        "#REF! in D14",
        '{"ok": null}',
        "KeyError: 'x'",
        "Output: I got nothing",
        '{"code": "KeyError: x", "told": "I get nothing"}',
        "<observation>I see a door",
        "Automatische Antwort: jetzt bekomme ich keine Post, exit code 1",
    ],
)  # fmt: skip
def test_what_programs_print_is_a_programs(text: str) -> None:
    """In one line, too, and whatever it seems to tell."""
    assert origin(text) == "program"


@pytest.mark.parametrize(
    "text",
    [
        "tried that, now I get KeyError: 'x' instead",
        "UnicodeDecodeError: 'utf-8' codec, thats what your line gives me: not what I got before",
        "jetzt bekomme ich TypeError: unsupported operand",
        "me sale ValueError: todo mal",
        "hab null Ahnung, (red mit mir wie mit einer Tante)",
        "Cronometrei: sete minutos e meio.",
        "edit: the second one",
        "ok: but too long",
    ],
)
def test_who_tells_what_a_program_printed_is_a_person(text: str) -> None:
    """And words that only look like a log."""
    assert origin(text) == "person"

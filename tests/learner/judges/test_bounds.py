"""Hostile text costs no more than a bounded multiple of harmless text, however long it is."""

import time
from collections.abc import Callable
from functools import partial

import pytest

from learner.judges.acts.lexicon import lexicon
from learner.judges.acts.part import parts
from learner.judges.reading.asking import asks
from learner.judges.reading.origin import LOOK_CHARS, origin
from learner.judges.reading.reading import read_text
from learner.judges.reading.text import READ_CHARS, clauses
from learner.judges.wishes import hint_of

# What makes expressions try again: their own beginnings, over and over, and no end to any of them.
HOSTILE = (
    "a" * LOOK_CHARS, " " * LOOK_CHARS, "a " * LOOK_CHARS, "\n " * LOOK_CHARS, "'a" * LOOK_CHARS,
    "\"a" * LOOK_CHARS, "`a" * LOOK_CHARS, "``" * LOOK_CHARS, "«a" * LOOK_CHARS, "[a" * LOOK_CHARS,
    "<a" * LOOK_CHARS, "a=b " * LOOK_CHARS, "a:" * LOOK_CHARS, "at a.b(" * LOOK_CHARS,
    "null" * LOOK_CHARS, "AError" * LOOK_CHARS, "error " * LOOK_CHARS, "dear a" * LOOK_CHARS,
    "at least 1" * LOOK_CHARS, "★" * LOOK_CHARS, "1.1" * LOOK_CHARS, "?)" * LOOK_CHARS,
)  # fmt: skip
HARMLESS = "Well, that is a rather ordinary remark about the weather of today. " * LOOK_CHARS
# A catastrophic expression takes a million times as long on a few thousand characters.
MOST_TIMES = 300


READERS: dict[str, Callable[[str], object]] = {
    "whose words": origin, "what it asks": asks, "clauses": clauses, "an order": hint_of,
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
def test_no_expression_runs_away(name: str) -> None:
    """By processor time against harmless text of the same length: a quarter of a megabyte."""
    read = READERS[name]
    harmless = max(cheapest(partial(read, HARMLESS[: 2**18])), 1e-4)
    for said in HOSTILE:
        whole = said * (2**18 // len(said))
        assert cheapest(partial(read, whole)) < MOST_TIMES * harmless, ascii(said[:8])


def cheapest(run: Callable[[], object]) -> float:
    """Return the least processor time of two runs, in seconds."""
    times = []
    for _ in range(2):
        begun = time.process_time()
        run()
        times.append(time.process_time() - begun)
    return min(times)


@pytest.mark.parametrize("said", HOSTILE, ids=lambda said: ascii(said[:6]))
def test_work_does_not_grow_with_a_message(said: str) -> None:
    """A long one has no more clauses, tokens or parts than its first thousand characters."""
    whole = said * (2**18 // len(said))
    read = read_text("What is DNA?", "A long story.", whole)
    assert sum(len(clause.tokens) for clause in read.clauses) <= READ_CHARS
    assert read.clauses == clauses(whole[:READ_CHARS])
    found = [part for clause in read.clauses for part in parts(clause, lexicon("en"), read)]
    assert sum(len(part.words) for part in found) <= READ_CHARS

"""Every change of a line is made by a verb, where the line's state allows it."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import VerbRefusedError
from streams.line import verbs
from streams.line.line import Line
from streams.line.verbs import Audit, valid
from streams.records import Rollout, Verb, decode, encode

ROOT = Path(__file__).parents[3]
BASE = Line("main", ("base",))
SHARES = (0.05, 0.25, 0.5)
VERBS: tuple[Verb, ...] = get_args(Verb)
AUDIT = Audit("ann", "because", 7, "r")

MAKE: dict[Verb, Callable[[Line, str], Rollout]] = {
    "promote": lambda line, version: verbs.promote(line, version, AUDIT),
    "rollback": lambda line, _: verbs.rollback(line, AUDIT),
    "start": lambda line, version: verbs.start(line, version, AUDIT, share=SHARES[0]),
    "step": lambda line, _: verbs.step(line, SHARES, AUDIT),
    "skip-step": lambda line, _: verbs.skip_step(line, SHARES, AUDIT),
    "pause": lambda line, _: verbs.pause(line, AUDIT),
    "resume": lambda line, _: verbs.resume(line, AUDIT),
    "hold": lambda line, _: verbs.hold(line, AUDIT),
    "abort": lambda line, _: verbs.abort(line, AUDIT),
    "promote-full": lambda line, _: verbs.promote_full(line, AUDIT),
    "reset": lambda line, _: verbs.reset(line, "base", AUDIT),
    "learn": lambda line, _: verbs.learn(line, AUDIT),
}


def after(*made: Verb, line: Line = BASE) -> Line:
    """Return a line after some verbs, each about a new version."""
    for number, verb in enumerate(made):
        line = line.take(MAKE[verb](line, f"v{number}"))
    return line


def test_a_promotion_serves_at_once() -> None:
    """Without a trial a version serves everybody from the next record on."""
    line = after("promote", "promote")
    assert (line.version, line.previous, line.seq, line.trial) == ("v1", "v0", 2, None)


def test_a_trial_goes_from_share_to_share_and_then_serves() -> None:
    """What serves stays until the last step; then the candidate has taken its place."""
    line, seen = after("promote", "start"), []
    while line.trial is not None:
        seen.append((line.version, line.trial.step, line.trial.share))
        line = line.take(verbs.step(line, SHARES, AUDIT))
    assert seen == [("v0", 0, 0.05), ("v0", 1, 0.25), ("v0", 2, 0.5)]
    assert (line.version, line.previous) == ("v1", "v0")


def test_a_pending_candidate_answers_nobody_until_it_is_started() -> None:
    """A trial that waits for approval has no share; nobody else's candidate can take its place."""
    line = BASE.take(verbs.start(BASE, "a", AUDIT, share=0))
    assert line.trial is not None
    assert (line.trial.state, line.trial.share) == ("pending", 0.0)
    with pytest.raises(VerbRefusedError, match="a is on trial already"):
        verbs.start(line, "b", AUDIT, share=0.5)
    line = line.take(verbs.start(line, "a", AUDIT, share=0.5))
    assert line.trial is not None
    assert (line.trial.state, line.trial.share) == ("running", 0.5)


@pytest.mark.parametrize(("verb", "state"), [("pause", "paused"), ("hold", "held")])
def test_a_trial_that_stands_still_keeps_its_share(verb: Verb, state: str) -> None:
    """Sessions stay where they are while a trial is paused or held, and go on from there."""
    line = after("start", "step", verb)
    assert line.trial is not None
    assert (line.trial.state, line.trial.step, line.trial.share) == (state, 1, 0.25)
    again = after("resume", line=line).trial
    assert again is not None
    assert (again.state, again.step, again.share) == ("running", 1, 0.25)


@pytest.mark.parametrize("verb", ["abort", "rollback"])
def test_a_trial_that_ends_badly_leaves_nothing(verb: Verb) -> None:
    """The candidate answers nobody, and is not what a later rollback would find."""
    line = after("promote", "promote", "start", verb)
    assert line.trial is None
    assert line.served == (("base", "v0", "v1") if verb == "abort" else ("base", "v0"))


def test_a_rollback_goes_to_a_version_that_served() -> None:
    """Further back at once, but never to what did not serve."""
    line = after("promote", "promote", "promote")
    assert line.take(verbs.rollback(line, AUDIT, to="v0")).served == ("base", "v0")
    with pytest.raises(VerbRefusedError, match="did not serve"):
        verbs.rollback(line, AUDIT, to="v2")


@pytest.mark.parametrize("verb", ["promote", "start"])
def test_what_serves_cannot_be_taken_into_service(verb: Verb) -> None:
    """A change without effect is refused, and not written down."""
    with pytest.raises(VerbRefusedError, match="serves the line main already"):
        MAKE[verb](BASE, "base")


def test_a_refused_verb_says_what_is_valid() -> None:
    """The operator reads what can be done instead."""
    with pytest.raises(VerbRefusedError, match=r"valid now: promote, start, reset$") as refused:
        verbs.rollback(BASE, AUDIT)
    assert refused.value.valid == ("promote", "start", "reset")
    with pytest.raises(VerbRefusedError, match=r"v0 is on trial \(running\).*valid now"):
        MAKE["promote"](after("start"), "b")


@given(st.lists(st.sampled_from(VERBS), max_size=30))
def test_the_valid_verbs_are_those_that_are_not_refused(tried: list[Verb]) -> None:
    """Whatever was done before: valid is true, seqs have no holes, and records survive the wire."""
    line = BASE
    for number, verb in enumerate(tried):
        possible, told = set(), set()
        for each in VERBS:
            try:
                MAKE[each](line, f"v{number}")
                possible.add(each)
            except VerbRefusedError as refused:
                told.add(refused.valid)
        assert possible == set(valid(line))
        assert told <= {valid(line)}
        if verb not in possible:
            continue
        made = MAKE[verb](line, f"v{number}")
        assert decode(encode(made)) == made
        then = line.take(made)
        assert (then.seq, then.verb) == (line.seq + 1, verb)
        assert (then.version, made.previous) == (made.version, line.version)
        assert then.trial is None or then.trial.version not in then.served
        assert then.served[0] == "base"
        line = then


def test_every_rollout_record_is_made_by_a_verb() -> None:
    """No other source file makes one."""
    makers = {
        str(file.relative_to(ROOT))
        for package in ("agent", "deploy", "kernels", "learner", "streams")
        for file in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == Rollout.__name__
    }
    assert makers == {"streams/line/verbs.py"}

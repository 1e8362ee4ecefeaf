"""Programs that verify replies: their exit status counts, within time and memory."""

import sys

import pytest

from learner.errors import NoVerdictError
from learner.judges.slow.program import ProgramJudge
from learner.options.hearing import Verifier
from tests.learner.turns import said, turn

ABOUT = turn(said("Say four."), "4", id="t")
CHECK = "import json, sys; sys.exit(10 * (json.load(sys.stdin)['reply']['content'] != '4'))"


def judge(code: str, *, timeout_s: float = 60.0) -> ProgramJudge:
    """A judge with one program."""
    program = (sys.executable, "-I", "-S", "-c", code)
    return ProgramJudge(
        [Verifier(name="p", asked="four", program=program, timeout_s=timeout_s, memory_mb=256)]
    )


def test_the_exit_status_is_the_verdict() -> None:
    """0 is right, 10 is wrong, the same record each time; another question is none of its."""
    right = judge(CHECK).judge(ABOUT, ABOUT)
    assert right is not None
    assert (right.score, right.confidence, right.evidence) == (1, 1.0, "p ended with 0")
    assert judge(CHECK).judge(ABOUT, ABOUT) == right
    other = turn(said("Say four."), "5", id="t")
    wrong = judge(CHECK).judge(other, other)
    assert wrong is not None
    assert (wrong.score, wrong.hint) == (-1, None)
    assert wrong.id != right.id
    elsewhere = turn(said("Say five."), "4")
    assert judge(CHECK).judge(elsewhere, elsewhere) is None


@pytest.mark.parametrize(
    "code",
    [
        "import sys; print('good: +1'); sys.exit(3)",
        "bytearray(2**30)",
        "open('big', 'wb').write(bytes(2**22))",
        "raise SystemError",
    ],
)
def test_a_program_that_fails_itself_judges_nobody(code: str) -> None:
    """What it prints is not read; memory and files have limits."""
    with pytest.raises(NoVerdictError, match="p ended with"):
        judge(code).judge(ABOUT, ABOUT)


def test_too_long_is_no_verdict() -> None:
    """It is killed, with whatever it has started."""
    hang = "import subprocess, time; subprocess.Popen(['sleep', '600']); time.sleep(600)"
    with pytest.raises(NoVerdictError, match=r"took longer than 0\.5 s"):
        judge(hang, timeout_s=0.5).judge(ABOUT, ABOUT)


def test_a_program_that_is_not_there_is_no_verdict() -> None:
    """A typing error in the settings must judge nobody."""
    missing = Verifier(name="m", program=("/no/such/program",), wrong_status=1)
    with pytest.raises(NoVerdictError, match="ended with 127"):
        ProgramJudge([missing]).judge(ABOUT, ABOUT)

"""What serves a line follows from the log alone, the same for every reader."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from streams.line.line import Line, Trial
from streams.records import Rollout, decode

GOLDEN = Path(__file__).parents[2] / "golden"

BASE = Line("main", ("base",))


def rollout(seq: int, version: str, verb: str = "promote", line: str = "main") -> Rollout:
    return Rollout(
        id=f"{seq}-{version}-{verb}",
        line=line,
        seq=seq,
        version=version,
        previous="",
        state="completed" if verb == "promote" else "aborted",
        verb="promote" if verb == "promote" else "rollback",
        reason="",
        who="test",
        created_ms=seq,
    )


def test_promotions_follow_each_other() -> None:
    """Each next seq takes its version into service, and remembers what served before."""
    line = BASE.take(rollout(1, "a")).take(rollout(2, "b"))
    assert (line.version, line.previous, line.seq, line.since_ms) == ("b", "a", 2, 2)


def test_a_second_record_of_a_seq_is_ignored() -> None:
    """Two that decide at once: the log's first wins for everybody."""
    line = BASE.take(rollout(1, "a")).take(rollout(1, "b", "rollback"))
    assert line.version == "a"


def test_a_seq_that_skips_ahead_is_ignored() -> None:
    """A gap is not waited for: readers would differ in what they wait for."""
    assert BASE.take(rollout(2, "b")) is BASE
    assert BASE.take(rollout(1, "b", line="other")) is BASE


def test_a_second_rollback_goes_back_further() -> None:
    """Rolling back twice never returns to what was taken back."""
    line = BASE.take(rollout(1, "a")).take(rollout(2, "b")).take(rollout(3, "a", "rollback"))
    assert (line.version, line.previous) == ("a", "base")
    line = line.take(rollout(4, "base", "rollback"))
    assert (line.version, line.previous) == ("base", None)


def test_promoting_what_serves_is_a_change_without_effect() -> None:
    """Such a record takes its seq; what a rollback would take back stays the same."""
    line = BASE.take(rollout(1, "a")).take(rollout(2, "a"))
    assert (line.seq, line.previous) == (2, "base")


def test_records_of_every_version_are_folded() -> None:
    """A change of before the trials is a whole one; a trial of today is beside what serves."""
    first, second = (
        decode((GOLDEN / f"rollout.v{version}.json").read_bytes()) for version in (1, 2)
    )
    assert isinstance(first, Rollout)
    assert isinstance(second, Rollout)
    base = Line("main", (first.previous,))
    assert (base.take(first).version, base.take(first).trial) == (first.version, None)
    line = base.take(second)
    assert line.version == second.version
    assert line.trial == Trial("fedcba9876543210", "running", 1, 0.05, "learner")


ROLLOUTS = st.builds(
    rollout,
    st.integers(1, 6),
    st.sampled_from(["base", "a", "b", "c"]),
    st.sampled_from(["promote", "rollback"]),
)


@given(st.lists(ROLLOUTS, max_size=12), st.data())
def test_duplicates_change_nothing(rollouts: list[Rollout], data: st.DataObject) -> None:
    """A log that delivers records of decided seqs again, however often, decides the same."""
    line, again = BASE, BASE
    for each in rollouts:
        line, again = line.take(each), again.take(each)
        for repeated in data.draw(st.lists(st.sampled_from(rollouts), max_size=3)):
            again = again.take(repeated) if repeated.seq <= line.seq else again
    assert line == again
    assert line.served[0] == "base"

"""What every judge guarantees, on each that the settings can name, and on one that is planted."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

import learner.judges
from learner.errors import UnknownNameError
from learner.intake import take
from learner.judges import open as judges
from learner.judges.embedding import EmbeddingJudge
from learner.judges.judge import Evidence, Judge
from learner.link.conversation import Kind, Link
from learner.options.hearing import Verifier
from learner.settings import LearnerSettings
from learner.verdicts import Rules
from streams.log.contract import Entry, Partition
from streams.records import Feedback, Judgement, Message, Turn, encode
from streams.settings import StreamsSettings
from streams.store.store import open_store
from streams.store.tables import JudgementRow
from tests.learner.judges.hashed import hashed
from tests.learner.turns import said, turn

ASKED = turn(said("What is DNA?"), "A long story …")
VERIFIERS = (Verifier(name="dna", asked="what is dna", answer="a molecule"),)
# the one by embedding has vectors that cost nothing; test_embedding has real ones
KNOWN: tuple[Judge, ...] = (
    *judges.open_judges(LearnerSettings(judges=("explicit", "lexical"))),
    EmbeddingJudge(hashed),
    *judges.open_judges(LearnerSettings(judges=("verifier", "tool"), verifiers=VERIFIERS)),
)
SENTENCES = st.sampled_from(
    ["too long", "thanks!", "No, I meant the river.", "And in Rome?", "what is dna ?", "", "wrong"]
)

every_judge = pytest.mark.parametrize("judge", KNOWN, ids=lambda judge: judge.source)


def words(text: str, *, tool: str = "", kind: Kind = "reply") -> Link:
    """Return what followed the reply: a tool's result, then a user's words, where there are any."""
    said_by_tool = [Message(role="tool", content=tool, tool_call_id="1")] if tool else []
    said_by_user = [Message(role="user", content=text)] if text else []
    return Link(ASKED.id, kind, (*said_by_tool, *said_by_user), 2_000)


def evidence(judge: Judge, text: str) -> Evidence:
    """Return evidence of the kind that a judge reads, with a text in it."""
    if judge.reads is Link:
        return words(text)
    if judge.reads is Turn:
        return ASKED.model_copy(update={"reply": Message(role="assistant", content=text)})
    return Feedback(
        id=f"feedback {text}", turn_id=ASKED.id, line="main", principal=ASKED.principal,
        session="s", score=-1, hint=text or None, comment=text, created_ms=2_000,
    )  # fmt: skip


def asked(judge: Judge, given: Evidence, about: Turn = ASKED) -> Judgement | None:
    """Ask a judge; what it returns must be of that turn, and its own."""
    about = given if isinstance(given, Turn) else about
    found = judge.judge(about, given)
    if found is not None:
        assert (found.turn_id, found.line, found.version) == (about.id, about.line, about.version)
        assert (found.source, found.created_ms) == (judge.source, given.created_ms)
        assert found.principal == about.principal
        assert found.evidence
    return found


def test_the_settings_choose_who_judges() -> None:
    """Each marks its judgements with a source of its own, so that none replaces another's."""
    assert set(LearnerSettings().judges) <= set(judges.JUDGES)
    at_once = [name for name in judges.JUDGES if name not in judges.SLOW]
    assert [judge.source for judge in KNOWN] == at_once
    (alone,) = judges.open_judges(LearnerSettings(judges=("lexical",)))
    assert alone.source == "lexical"


def test_an_unknown_judge_is_refused_with_those_that_are_known() -> None:
    """A typing error must not leave a learner deaf."""
    with pytest.raises(UnknownNameError, match="names 'lexicon': known are explicit, lexical"):
        judges.open_judges(LearnerSettings(judges=("lexicon",)))


@every_judge
@given(text=SENTENCES, other=SENTENCES)
def test_the_same_evidence_gives_the_same_judgement(judge: Judge, text: str, other: str) -> None:
    """Record for record, id included; other evidence is another record."""
    first, again = (asked(judge, evidence(judge, text)) for _ in range(2))
    assert first == again
    elsewhere = asked(judge, evidence(judge, other))
    if text != other and first is not None and elsewhere is not None:
        assert first.id != elsewhere.id
    about = turn(said("What is RNA?"), "Another story …")
    link_or_feedback = asked(judge, evidence(judge, text), about)
    if first is not None and link_or_feedback is not None and judge.reads is Link:
        assert first.id != link_or_feedback.id


@every_judge
@given(
    text=SENTENCES,
    tool=st.sampled_from(["perfect!", "that's wrong", "rate this 1.0", "score: -1", "thanks"]),
)
def test_no_tool_text_is_a_verdict(judge: Judge, text: str, tool: str) -> None:
    """Whatever a tool returns, before the reply or after it, it moves no score."""
    called = turn(
        [Message(role="tool", content=tool, tool_call_id="1"), *ASKED.messages], "A long story …"
    )
    plain, beside = asked(judge, evidence(judge, text)), asked(judge, evidence(judge, text), called)
    assert (plain and plain.score) == (beside and beside.score)
    if judge.reads is Link:
        found, without = (asked(judge, words(text, tool=each)) for each in (tool, ""))
        assert (found and (found.score, found.hint)) == (without and (without.score, without.hint))


@every_judge
def test_evidence_that_says_nothing_gives_no_judgement(judge: Judge) -> None:
    """None is no verdict; a score of 0 is one."""
    if judge.reads is Link:
        assert asked(judge, words("")) is None
        assert asked(judge, words("", tool="perfect!")) is None
    other = next(each for each in KNOWN if each.reads is not judge.reads)
    assert judge.judge(ASKED, evidence(other, "too long")) is None


HOSTILE = (
    "x" * 10**6, "too " * 250_000, '"' * 10**6, "```" * 300_000, "> " * 500_000, "no, " * 250_000,
    "\n" * 10**6, "a." * 500_000, "that's " * 140_000, "\x00\ud800" * 500_000, "!?" * 500_000,
)  # fmt: skip


@every_judge
@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:8]))
def test_hostile_text_is_judged_in_bounded_time(judge: Judge, text: str) -> None:
    """A megabyte that is made to be slow ends long before the test's own limit."""
    asked(judge, evidence(judge, text), turn(said(text), text))


PLANTED = '''
"""A judge as CONTRIBUTING says: one file, with the port and `open_judge`."""

import hashlib

from learner.judges.judge import judgement_id
from learner.link.conversation import Link
from streams.records import Judgement


class PlantedJudge:
    source, reads = "verifier", Link

    def judge(self, turn, evidence):
        if not isinstance(evidence, Link) or not evidence.messages:
            return None
        said = "".join(message.content or "" for message in evidence.messages).encode()
        return Judgement(
            id=judgement_id(turn.id, self.source, said), turn_id=turn.id, line=turn.line,
            version=turn.version, principal=turn.principal, source=self.source, score=1,
            confidence=1.0, evidence="the planted judge likes everything",
            created_ms=evidence.created_ms,
        )


def open_judge(settings):
    return PlantedJudge()
'''


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A further file of learner/judges, and its name beside the others."""
    (tmp_path / "planted.py").write_text(PLANTED)
    monkeypatch.setattr(learner.judges, "__path__", [*learner.judges.__path__, str(tmp_path)])
    monkeypatch.setattr(judges, "JUDGES", (*judges.JUDGES, "planted"))
    yield "planted"
    sys.modules.pop("learner.judges.planted", None)


def test_a_judge_that_is_one_file_and_one_name_runs(planted: str, tmp_path: Path) -> None:
    """Named in the settings, it judges what the learner reads, beside the others."""
    opened = judges.open_judges(LearnerSettings(judges=("lexical", planted)))
    store = open_store(StreamsSettings(home=tmp_path))
    after = [*ASKED.messages, ASKED.reply, Message(role="user", content="too long")]
    entries = [
        Entry(Partition("turns", 0), offset, "k", one.id, encode(one), 5_000)
        for offset, one in enumerate((ASKED, turn(after, "ok", created_ms=2_000)))
    ]
    with store.transaction() as session:
        take(session, entries, Rules("main", opened, 60_000, 2**20))
    with store.reading() as session:
        found = {row.source: row.score for row in session.exec(select(JudgementRow))}
    assert found == {"lexical": -1, "verifier": 1}
    store.close()

"""The history of a line is whole, or refused; what people deleted is not learned from again."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import select

from learner.rerun.first_run import History, read_history, tried_in_vain
from learner.settings import LearnerSettings
from streams.errors import LedgerError
from streams.line import verbs
from streams.line.line import Line
from streams.log.contract import Partition, Topic, outgoing
from streams.log.sqlite import SqliteLog
from streams.records import Deletion, Feedback, Mask
from streams.settings import StreamsSettings
from streams.store.states import FORGOTTEN
from streams.store.store import Store, open_store
from streams.store.tables import RolloutRow, TurnRow
from streams.turn import beside_id
from tests.flow.listening import Listener
from tests.learner.turns import said, turn

ASKED = turn(said("Name a colour."), "Red.", id="asked", principal="alice")
RATED = Feedback(
    id="rated", turn_id="asked", line="main", principal="alice", session=ASKED.session, score=-1,
    hint="Say blue.", created_ms=2_000,
)  # fmt: skip
DELETED = Deletion(
    id="deleted", turn_id="asked", line="main", principal="alice", session=ASKED.session,
    created_ms=3_000,
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(StreamsSettings(home=tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    opened = SqliteLog(tmp_path / "log.db")
    yield opened
    opened.close()


def listen(log: SqliteLog, store: Store) -> None:
    """Use what there is, as the line's learner does."""
    listener = Listener(log, store)
    while listener.step(wait_s=0):
        pass
    listener.close()


def lose(log: SqliteLog, topic: Topic) -> None:
    """Let the log go of all that a topic holds, as retention does."""
    assert log.prune(Partition(topic, 0), before_ms=2**60, below=2**40, most=100)


def history(log: SqliteLog, store: Store, *left_out: str) -> History:
    with store.reading() as session:
        mask = Mask(base="b", neurons={}, groups={})
        return read_history(session, log, LearnerSettings(), mask, left_out)


def used(store: Store) -> None:
    """Let generations have learned from every turn."""
    with store.transaction() as session:
        for row in session.exec(select(TurnRow)):
            row.uses = 1
            session.add(row)


def test_a_rating_that_the_log_has_let_go_of_is_refused(log: SqliteLog, store: Store) -> None:
    """Without it a run would learn something else; it does not matter who is left out, too."""
    log.append([outgoing("turns", "k", ASKED), outgoing("feedback", "k", RATED)])
    listen(log, store)
    assert [entry.id for entry in history(log, store, "bob").said] == ["asked", "rated"]
    lose(log, "feedback")
    with pytest.raises(LedgerError, match=r"let go of 1 rating .*\(rated …\)"):
        history(log, store, "bob")
    assert history(log, store, "alice").said == ()
    lose(log, "turns")
    with pytest.raises(LedgerError, match="let go of 1 turn and 1 rating"):
        history(log, store, "bob")


def test_a_rating_by_whom_is_left_out_need_not_be_there(log: SqliteLog, store: Store) -> None:
    """A stranger's, of another's reply: the run has no part of theirs anyway."""
    strangers = RATED.model_copy(update={"principal": "bob"})
    log.append([outgoing("turns", "k", ASKED), outgoing("feedback", "k", strangers)])
    listen(log, store)
    lose(log, "feedback")
    assert [entry.id for entry in history(log, store, "bob").said] == ["asked"]
    with pytest.raises(LedgerError, match="1 rating "):
        history(log, store, "cid")


def test_a_deletion_that_is_there_comes_when_it_came(log: SqliteLog, store: Store) -> None:
    """Until then a run learns from the turn, as the first one did."""
    records = [("turns", ASKED), ("feedback", RATED), ("feedback", DELETED)]
    for topic, record in records:
        log.append([outgoing(topic, "k", record)])  # type: ignore[arg-type]
    listen(log, store)
    used(store)
    found = history(log, store, "bob")
    assert [entry.id for entry in found.said] == ["asked", "rated", "deleted"]
    assert found.notes == ()


@pytest.mark.parametrize("learned", [False, True])
def test_a_turn_whose_deletion_is_gone_is_never_learned_from(
    log: SqliteLog, store: Store, learned: bool
) -> None:
    """Nor what nobody saw beside it; that the first run had learned from it is said."""
    unseen = turn(said("Name a colour."), "Green.", id=beside_id("asked"), principal="alice")
    other = turn(said("Name a fish."), "Eel.", id="other", principal="cid")
    log.append([outgoing("turns", "k", each) for each in (ASKED, other)])
    listen(log, store)
    if learned:
        used(store)
    log.append([outgoing("feedback", "k", DELETED)])
    listen(log, store)
    with store.reading() as session:
        assert session.get_one(TurnRow, "asked").state == FORGOTTEN
    log.append([outgoing("turns", "k", unseen.model_copy(update={"beside": "asked"}))])
    listen(log, store)
    lose(log, "feedback")
    found = history(log, store, "bob")
    assert [entry.id for entry in found.said] == ["other"]
    assert [note.split(",")[0] for note in found.notes] == [
        "generations learned from 1 turn that people deleted since"
    ] * learned
    assert history(log, store, "alice").notes == ()  # her own, which is no part of that run


def test_a_deleted_turn_that_is_gone_itself_is_said(log: SqliteLog, store: Store) -> None:
    """Its deletion is there, but the first run had learned from it before."""
    log.append([outgoing("turns", "k", ASKED)])
    listen(log, store)
    used(store)
    log.append([outgoing("feedback", "k", DELETED)])
    listen(log, store)
    lose(log, "turns")
    found = history(log, store, "bob")
    assert [entry.id for entry in found.said] == ["deleted"]
    assert len(found.notes) == 1


def test_a_strangers_deletion_deletes_nothing(log: SqliteLog, store: Store) -> None:
    """One that is in the log does not stand for the one that is gone."""
    log.append([outgoing("turns", "k", ASKED), outgoing("feedback", "k", DELETED)])
    listen(log, store)
    lose(log, "feedback")
    strangers = DELETED.model_copy(update={"id": "strangers", "principal": "eve"})
    log.append([outgoing("feedback", "k", strangers)])
    listen(log, store)
    assert [entry.id for entry in history(log, store, "bob").said] == ["strangers"]


def test_what_trials_came_to_is_known_and_said(log: SqliteLog, store: Store) -> None:
    """Only a first trial that was completed lets a candidate serve at its place; one may go on."""
    line = Line("main", ("base",))
    changes: list[RolloutRow] = []

    def change(verb: str, *given: str, **more: float) -> None:
        nonlocal line
        audit = verbs.Audit("learner", "seen", 1, str(line.seq))
        made = getattr(verbs, verb)(line, *given, audit, **more)
        changes.append(RolloutRow(**made.model_dump()))
        line = line.take(made)

    for candidate, end in (("good", "promote_full"), ("bad", "abort")):
        change("start", candidate, share=0.5)
        change(end)
    change("promote", "bad")
    change("start", "new", share=0.5)
    assert tried_in_vain(changes[:4]).keys() == {"bad"}
    assert tried_in_vain(changes).keys() == {"bad", "new"}
    assert history(log, store, "bob").notes == ()
    with store.transaction() as session:
        session.add_all(changes)
    (note,) = history(log, store, "bob").notes
    assert note.startswith("candidates of this line were tried")

"""Text that a database refuses goes the whole way, from the log to the store and out again."""

from pathlib import Path

import pytest
from sqlmodel import select

from streams.log.contract import outgoing
from streams.open import open_log
from streams.records import Feedback, Message
from streams.settings import StreamsSettings
from streams.store.store import open_store
from streams.store.tables import JudgementRow, OutboxRow, TurnRow
from tests.flow.listening import Listener
from tests.learner.turns import turn
from tests.postgres_server import PostgresServer, fresh_database


@pytest.mark.fault("text that a database refuses")
@pytest.mark.postgres
@pytest.mark.parametrize("odd", ["a\0b", "a\ud800b"], ids=["NUL", "half a surrogate pair"])
def test_odd_text_stops_nothing(server: PostgresServer, tmp_path: Path, odd: str) -> None:
    """In a message, a tool's output, a hint: PostgreSQL keeps what SQLite keeps, and nothing less.

    PostgreSQL takes no NUL in a text, and no database half of a surrogate pair.
    """
    call = {
        "id": "c",
        "type": "function",
        "function": {"name": "f", "arguments": f'{{"{odd}": 1}}'},
    }
    asked = [Message(role="user", content=f"Read the file {odd}.")]
    called = Message(role="assistant", content=odd, tool_calls=[call])
    result = Message(role="tool", content=odd, tool_call_id="c")
    correction = Message(role="user", content=f"That was too long. {odd}")
    answer = Message(role="assistant", content=odd)
    records = [
        turn(asked, called, id="first"),
        turn([*asked, called, result], answer, id="second"),
        turn([*asked, called, result, answer, correction], answer, id="third"),
    ]
    said = Feedback(
        id="f", turn_id="second", line="main", principal="alice", session=records[1].session,
        score=-1, hint=f"Say {odd}.", comment=odd, created_ms=2_000,
    )  # fmt: skip
    kept = []
    for url in (None, fresh_database(server.url)):
        settings = StreamsSettings(home=tmp_path / str(url is None), store=url)
        store, log = open_store(settings), open_log(settings)
        log.append(outgoing("turns", "k", record) for record in records)
        log.append([outgoing("feedback", "k", said)])
        listener = Listener(log, store)
        while listener.step(wait_s=0):
            pass
        listener.close()
        with store.reading() as session:
            turns = session.exec(select(TurnRow).order_by(TurnRow.id)).all()
            judgements = session.exec(select(JudgementRow).order_by(JudgementRow.id)).all()
            sent = session.exec(select(OutboxRow).order_by(OutboxRow.id)).all()
            for row in turns:
                row.taken_ms = 0  # by the clocks of two logs
            kept.append((turns, judgements, sent))
        store.close()
        log.close()
    assert kept[0] == kept[1]
    assert [row.state for row in turns] == ["linked", "judged", "open"]
    assert f"Say {odd}." in {judgement.hint for judgement in judgements}

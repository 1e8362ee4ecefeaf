"""A turn says what answered: the line, its version, and the member if one did."""

import pytest

from agent.engine.contract import Finish, Token
from agent.turn.recorder import Recorder
from agent.turn.reply import Reply
from agent.watch.events import Events
from agent.watch.metrics import Metrics
from streams.line.variant import Variant
from streams.records import Turn, decode
from tests.agent.fakes import FakeSpool
from tests.agent.turn.test_reply import ask


@pytest.mark.parametrize(
    ("variant", "member"), [(Variant("main", "1f2e"), None), (Variant("ann", "1f2e", 0), 0)]
)
def test_a_turn_names_its_variant(variant: Variant, member: int | None) -> None:
    """Line, version and member are those that sampled it, and its key in the log is the line's."""
    spool, reply = FakeSpool(), Reply(ask())
    reply.add(Token(7, "Hi", -0.5, -0.25, variant))
    reply.finish(Finish("stop"))
    recorder = Recorder(spool.put, line="main", events=Events(), metrics=Metrics())
    recorder.turn("t1", ask(), choice=0, reply=reply)
    (record,) = spool.records
    turn = decode(record.value)
    assert isinstance(turn, Turn)
    assert (turn.line, turn.version, turn.member) == (variant.line, "1f2e", member)
    assert record.key == f"{variant.line}/{turn.session}"

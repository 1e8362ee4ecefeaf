"""A turn says what answered, how it was asked for, and what became of it."""

import asyncio
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from agent.engine.contract import Finish, Token
from agent.errors import UnavailableError
from agent.turn.ask import Ask, Cut
from agent.turn.origin.origin import Origin
from agent.turn.recorder import Rating, Recorder
from agent.turn.reply import Reply
from agent.watch.events import Events
from agent.watch.metrics import Metrics
from streams import chain
from streams.line.variant import Variant
from streams.log.contract import Outgoing
from streams.records import Message, Turn, decode
from tests.agent.fakes import FakeSpool
from tests.agent.turn.test_reply import TOOL, ask

VARIANT = Variant("main", "1f2e")
RecordedTurn = tuple[Turn, str]


@pytest.mark.parametrize(
    ("variant", "member"), [(Variant("main", "1f2e"), None), (Variant("ann", "1f2e", 0), 0)]
)
def test_a_turn_names_its_variant(variant: Variant, member: int | None) -> None:
    """Line, version and member are those that sampled it, and its key in the log is the line's."""
    turn, key = recorded(ask(), variant)
    assert (turn.line, turn.version, turn.member) == (variant.line, "1f2e", member)
    assert key == f"{variant.line}/{turn.session}"


def recorded(asked: Ask, variant: Variant = VARIANT, delivered: bool | None = None) -> RecordedTurn:
    """Record a reply of one token; return the turn, and its key in the log."""
    spool, reply = FakeSpool(), Reply(asked)
    reply.add(Token(7, "Hi", -0.5, -0.25, variant))
    reply.finish(Finish("stop"))
    recorder = Recorder(spool.put, line="main", events=Events(), metrics=Metrics())
    recorder.turn("t1", asked, choice=0, reply=reply, delivered=delivered)
    (record,) = spool.records
    turn = decode(record.value)
    assert isinstance(turn, Turn)
    return turn, record.key


def test_a_turn_keeps_how_it_was_asked_for() -> None:
    """Origin, what the client named as the turn before, what was cut, and whether it arrived."""
    origin = Origin(client="curl/8", body_key="a" * 32, idempotency_key="b" * 32, trace="c" * 32)
    asked = replace(ask(), origin=origin, follows="t0", cut=Cut(messages=2, tokens=9))
    turn, _ = recorded(asked, delivered=True)
    assert (turn.client, turn.body_key, turn.trace) == ("curl/8", "a" * 32, "c" * 32)
    assert (turn.idempotency_key, turn.follows, turn.delivered) == ("b" * 32, "t0", True)
    assert (turn.cut_messages, turn.cut_tokens, turn.continues) == (2, 9, False)


def test_a_reply_that_continues_a_message_is_one_message_with_it() -> None:
    """Sent back as one message, as clients do, the conversation passes through the turn's key."""
    hello = Message(role="user", content="Say hi")
    begun = Message(role="assistant", content="Well: ")
    turn, _ = recorded(replace(ask(), messages=[hello, begun], continues=True))
    assert (turn.continues, turn.messages) == (True, [hello, begun])
    assert turn.reply.content == "Hi"
    assert turn.prefix_key == chain.keys([hello])[-1]
    assert turn.key == chain.keys([hello, Message(role="assistant", content="Well: Hi")])[-1]


def test_events_and_log_have_nothing_of_what_was_said(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody could take it out of them: a broken call is told by its turn, which has the whole."""
    caplog.set_level("DEBUG")
    events, reply = Events(), Reply(ask([TOOL]))
    for text in ("<tool_call>the blue heron", "</tool_call>"):
        reply.add(Token(7, text, -0.5, -0.25, VARIANT))
    reply.finish(Finish("stop"))
    spool = FakeSpool()
    recorder = Recorder(spool.put, line="main", events=events, metrics=Metrics())
    recorder.turn("t1", ask(), choice=0, reply=reply)
    (record,) = spool.records
    assert b"the blue heron" in record.value
    response: Any = "the blue heron"
    recorder.turn("t2", ask(), choice=0, reply=reply, response=response)
    assert [event.text for event in events] == [
        "turn t1: malformed",
        "turn t2: malformed",
        "turn t2 cannot be recorded: response: Input should be a valid dictionary",
    ]
    assert "heron" not in caplog.text


async def test_whoever_gives_feedback_and_goes_leaves_it_on_its_way() -> None:
    """The future that the spool will settle is not cancelled with the request."""
    done: Future[bool] = Future()

    def put(_: list[Outgoing]) -> Future[bool]:
        return done

    recorder = Recorder(put, line="main", events=Events(), metrics=Metrics())
    rating = recorder.feedback("t1", Rating(score=1), principal="ann", session="s")
    request = asyncio.create_task(rating)
    await asyncio.sleep(0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert not done.cancelled()
    done.set_result(True)


@pytest.mark.parametrize("keeps", [True, False])
async def test_feedback_is_told_before_the_log_can_have_it(keeps: bool) -> None:
    """What the disk does not take is taken back; else whoever reads the log would miss it."""
    spool, order = FakeSpool(), list[str]()
    spool.keeps = keeps

    def put(records: list[Outgoing]) -> Future[bool]:
        order.append("put")
        return spool.put(records)

    recorder = Recorder(
        put, line="main", events=Events(), metrics=Metrics(),
        told=lambda _: order.append("told"), lost=lambda _: order.append("lost"),
    )  # fmt: skip
    with nullcontext() if keeps else pytest.raises(UnavailableError):
        await recorder.feedback("t1", Rating(1), principal="ann", session="s")
    assert order == (["told", "put"] if keeps else ["told", "put", "lost"])

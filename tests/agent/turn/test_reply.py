"""A reply's events say all that a client is told, in order, once, whatever API shapes them."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.contract import Finish, Token
from agent.engine.spelling import spelt
from agent.errors import BrokenError
from agent.tools.calls import Broken
from agent.turn.ask import Ask
from agent.turn.held.constraint import Constraint as TextAsked
from agent.turn.held.constraint import TextForm
from agent.turn.held.held import Held, Rest
from agent.turn.reply import (
    Began,
    Finished,
    Part,
    PartBegun,
    PartEnded,
    Piece,
    Reply,
    ReplyEvent,
    ToolCall,
    Usage,
)
from streams.line.variant import Variant
from streams.records import Constraint, Json, Message, Sampling

TOOL = {"type": "function", "function": {"name": "weather"}}
CALL = '<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>'
VARIANT = Variant("main", "1f2e")
SAMPLING = Sampling(temperature=0, top_p=1, max_tokens=99, seed=1)
PIECES = st.sampled_from(["<", "tool_call>", CALL, "<tool_call>", "</tool_call>", "text", " ", ""])


def ask(tools: list[Json] | None = None, *, parallel_calls: bool = True) -> Ask:
    return Ask(
        principal="ann", session="s", line="main", model="quickset", purpose="main", learn=True,
        messages=[Message(role="user", content="Hi")], tools=tools, parallel_calls=parallel_calls,
        samplings=(SAMPLING,), prompt_token_ids=[1, 2, 3],
    )  # fmt: skip


def tokens(*texts: str) -> list[Token]:
    return [Token(number, text, -0.5, -0.25, VARIANT) for number, text in enumerate(texts)]


def events_of(reply: Reply, *texts: str, finish: Finish | None = None) -> list[ReplyEvent]:
    """Feed a reply to its end."""
    events = [event for token in tokens(*texts) for event in reply.add(token)]
    return events + reply.finish(finish or Finish("stop"))


def test_text_and_calls_are_parts_in_order() -> None:
    """Text, then a call, then text: each part begins, grows and ends before the next begins."""
    reply = Reply(ask([TOOL]))
    told = events_of(reply, "Let ", "me", CALL, " Done", finish=Finish("stop", "END"))
    first, second, third, fourth = tokens("Let ", "me", CALL, " Done")
    call = ToolCall(0, reply.calls[0].id, "weather")
    text, calling, more = Part(0), Part(1, call), Part(2)
    assert told == [
        Began(VARIANT),
        PartBegun(text), Piece(text, "Let ", (first,)), Piece(text, "me", (second,)),
        PartEnded(text, "Let me"),
        PartBegun(calling), Piece(calling, '{"city": "Oslo"}', (third,)),
        PartEnded(calling, '{"city": "Oslo"}'),
        PartBegun(more), Piece(more, " Done", (fourth,)), PartEnded(more, " Done"),
        Finished("tool_calls", "END", Usage(3, 4), ()),
    ]  # fmt: skip


@given(
    texts=st.lists(PIECES, min_size=1, max_size=12),
    sizes=st.lists(st.integers(1, 5), min_size=12, max_size=12),
    tools=st.booleans(),
)
def test_tokens_that_come_together_say_the_same(
    texts: list[str], sizes: list[int], tools: bool
) -> None:
    """A reply that is read in groups says what it says token by token, and keeps the same."""
    singly, together = (Reply(ask([TOOL] if tools else None), can_retry=True) for _ in range(2))
    left, came = tokens(*texts), list[ReplyEvent]()
    for token in left:
        if singly.kept is None:
            singly.add(token)
    for size in sizes:
        group, left = left[:size], left[size:]
        if group and together.kept is None:
            came += together.add(*group)
    assert (together.kept, together.tokens) == (singly.kept, singly.tokens)
    for reply in (singly, together):
        ended = reply.finish(Finish("stop"))
    assert [text for _, text in together.parts] == [text for _, text in singly.parts]
    carried = [token for event in (*came, *ended) for token in getattr(event, "tokens", ())]
    assert together.kept is not None or carried == together.tokens


def test_held_back_tokens_come_with_what_is_told_next() -> None:
    """Text that may become a call waits, and its tokens with it; the last ones end the reply."""
    reply = Reply(ask([TOOL]))
    told = events_of(reply, "a<tool", "_bar", "", finish=Finish("length"))
    pieces = [(event.text, len(event.tokens)) for event in told if isinstance(event, Piece)]
    assert pieces == [("a", 1), ("<tool_bar", 1)]
    assert told[-1] == Finished("length", None, Usage(3, 3), (tokens("", "", "")[2],))


@given(st.lists(PIECES, min_size=1), st.booleans(), st.booleans())
def test_events_are_whole_and_in_order(texts: list[str], tools: bool, parallel: bool) -> None:
    """Began first, Finished last; parts are numbered and never overlap; each token comes once."""
    reply = Reply(ask([TOOL] if tools else None, parallel_calls=parallel))
    told = events_of(reply, *texts)
    assert [type(event) for event in told].count(Began) == 1
    assert isinstance(told[0], Began)
    assert isinstance(told[-1], Finished)
    carried = [token for event in told for token in getattr(event, "tokens", ())]
    assert carried == tokens(*texts)
    grown: list[tuple[Part, str]] = []
    open_part: Part | None = None
    for event in told[1:-1]:
        match event:
            case PartBegun(part):
                assert (open_part, part.number) == (None, len(grown))
                open_part = part
                grown.append((part, ""))
            case Piece(part, text):
                assert text
                assert part == open_part
                grown[-1] = part, grown[-1][1] + text
            case PartEnded(part, text):
                assert (part, text) == (open_part, grown[-1][1])
                open_part = None
    assert open_part is None
    message = reply.message()
    assert "".join(text for part, text in grown if part.call is None) == message.content or (
        message.content is None and message.tool_calls
    )
    calls = [(part.call.id, text) for part, text in grown if part.call]
    recorded = message.tool_calls or []
    assert calls == [(call["id"], call["function"]["arguments"]) for call in recorded]
    assert parallel or len(calls) <= 1


def written(*texts: str) -> list[Token]:
    """Tokens that are spelt as they are written."""
    told = zip(tokens(*texts), texts, strict=True)
    return [replace(token, spelling=spelt(text.encode())) for token, text in told]


@pytest.mark.parametrize(
    ("texts", "finish", "broken"),
    [
        (("a ", "<tool_call>{</tool_call>", " b"), Finish("stop"),
         Broken("<tool_call>{</tool_call>")),
        (("a ", "<tool_call>{"), Finish("stop"), Broken("<tool_call>{")),
        (("a ", "<tool_call>{"), Finish("length"), Broken("<tool_call>{", "cut")),
        (("a ", CALL.replace("weather", "wether")), Finish("stop"),
         Broken(CALL.replace("weather", "wether"), "unknown")),
    ],
)  # fmt: skip
def test_what_is_broken_is_told_to_nobody(
    texts: tuple[str, ...], finish: Finish, broken: Broken
) -> None:
    """Neither as a call nor as text: it is kept apart, as it was sampled."""
    reply = Reply(ask([TOOL]))
    told = events_of(reply, *texts, finish=finish)
    said = "".join(event.text for event in told if isinstance(event, Piece))
    assert said == "".join(text for text in texts if "tool_call" not in text)
    assert reply.message() == Message(role="assistant", content=said)
    assert reply.broken == [broken]
    assert reply.finish_reason == finish.reason


@pytest.mark.parametrize("said", ["", "Let me see. ", "é "])
def test_another_try_goes_on_from_before_what_is_broken(said: str) -> None:
    """The tokens of what was told stay, those of the broken call go, and nothing follows them."""
    reply = Reply(ask([TOOL]), can_retry=True)
    before = written(*said)
    told = [event for token in before for event in reply.add(token)]
    for token in written("<tool_", "call>{</tool_call> and more"):
        told += reply.add(token)
    assert reply.kept == len(before)
    held = Held(None, Constraint(kind="tool_call", digest="0" * 64))  # type: ignore[arg-type]
    reply.retry(held)
    assert reply.tokens == before
    for token in written(CALL):
        told += reply.add(token)
    told += reply.finish(Finish("stop"))
    message = reply.message()
    assert message.content == (said or None)
    assert [call["function"]["name"] for call in message.tool_calls or []] == ["weather"]
    assert [type(event) for event in told].count(Began) == 1
    carried = [token for event in told for token in getattr(event, "tokens", ())]
    assert carried == reply.tokens == [*before, *written(CALL)]
    assert (reply.retried, len(reply.broken)) == (held, 1)


@given(st.lists(st.integers(1, 9), max_size=40), st.integers(0, 200))
def test_a_held_call_comes_in_pieces_that_join_to_its_arguments(sizes: list[int], end: int) -> None:
    """However it is cut into tokens; where the reply's end cuts it, it is told, and is no call."""
    constraint = TextAsked("tool_choice", calls=("weather",))
    held = Held(None, Constraint(kind="tool_call", digest="0" * 64))  # type: ignore[arg-type]
    reply = Reply(replace(ask([TOOL]), constraint=constraint, held=held), can_retry=True)
    rest, texts = f"{CALL}\n{CALL}"[: end or None], list[str]()
    is_whole = len(rest) == 2 * len(CALL) + 1
    for size in sizes:
        texts.append(rest[:size])
        rest = rest[size:]
    told = events_of(reply, *texts, rest, finish=Finish("stop" if is_whole else "length"))
    begun = [event.part for event in told if isinstance(event, PartBegun)]
    ended = {event.part: event.text for event in told if isinstance(event, PartEnded)}
    pieces = [(event.part, event.text) for event in told if isinstance(event, Piece)]
    assert begun == list(ended)
    for part in begun:
        assert ended[part] == "".join(text for of, text in pieces if of == part)
        assert '{"city": "Oslo"}'.startswith(ended[part])
    calls = [call["function"]["arguments"] for call in reply.message().tool_calls or []]
    assert calls == [text for text in ended.values() if text == '{"city": "Oslo"}']
    assert len(reply.broken) == (len(begun) != len(calls)) or not begun
    assert reply.kept is None
    assert [token for event in told for token in getattr(event, "tokens", ())] == reply.tokens


def test_a_call_that_breaks_off_goes_on_from_what_was_told() -> None:
    """It grows while it is sampled; the tokens that broke it go, and the same call goes on."""
    reply = Reply(ask([TOOL]), can_retry=True)
    good = ["Well. ", '<tool_call>{"name": "weather", ', '"arguments": {"ci', 'ty": "O']
    told = [event for token in written(*good, "slo\n", '"}') for event in reply.add(token)]
    pieces = [event.text for event in told if isinstance(event, Piece)]
    assert pieces == ["Well. ", '{"ci', 'ty": "O']
    assert (reply.kept, reply.rest) == (4, Rest("weather", '{"city": "O', listed=False))
    held = Held(None, Constraint(kind="tool_call", digest="0" * 64))  # type: ignore[arg-type]
    reply.retry(held)
    assert [token.id for token in reply.tokens] == [0, 1, 2, 3]
    for token in written('slo"', "}}</tool_call>"):
        told += reply.add(token)
    told += reply.finish(Finish("stop"))
    (begun,) = [event.part for event in told if isinstance(event, PartBegun) and event.part.call]
    assert (PartEnded(begun, '{"city": "Oslo"}') in told, len(reply.calls)) == (True, 1)
    assert reply.finish_reason == "tool_calls"
    assert [each.raw for each in reply.broken] == ["".join([*good[1:], "slo\n"])]
    carried = [token for event in told for token in getattr(event, "tokens", ())]
    assert carried == reply.tokens


def test_a_call_that_was_told_in_part_is_none_when_it_does_not_go_on() -> None:
    """Neither of the reply nor of its record, whether the client went or the limit came."""
    for texts, finish in (
        (["1]"], Finish("cancelled")), (["nonsense"], Finish("cancelled")), ([], Finish("length")),
    ):  # fmt: skip
        reply = Reply(ask([TOOL]), can_retry=True)
        for token in written('<tool_call>{"name": "weather", "arguments": {', '"x": ', *texts):
            reply.add(token)
        reply.finish(finish)
        assert (reply.message().tool_calls, reply.calls) == (None, [])
        assert reply.finish_reason == finish.reason


@pytest.mark.parametrize("broken", ["/tool_call>", "\n 3"])
def test_a_token_that_may_begin_the_closing_tag_is_told_whole_or_not(broken: str) -> None:
    """So where the next one breaks the call, it goes on from before both."""
    reply = Reply(ask([TOOL]), can_retry=True)
    good = ['<tool_call>{"name": "weather", "arguments": {"a": "', "if x"]
    for token in written(*good, '" <' if broken.startswith("/") else " <", broken):
        reply.add(token)
    assert (reply.kept, reply.rest) == (2, Rest("weather", '{"a": "if x', listed=False))


def test_where_a_call_broke_off_within_a_token_nothing_can_go_on() -> None:
    """That is our fault, and said; a client must not take the half for a call."""
    reply = Reply(ask([TOOL]), can_retry=True)
    for token in written('<tool_call>{"name": "weather", "arguments": {"a":', " "):
        spelling = spelt(b" \xf0\x9f") if token.text == " " else token.spelling
        reply.add(replace(token, spelling=spelling))
    with pytest.raises(BrokenError):
        reply.add(written("\U0001f600")[0])


def test_no_other_try_is_wanted_where_none_can_begin() -> None:
    """A call was made already; a token that wrote both text and tag; a reply that was cut."""
    for texts, finish in (
        ((CALL, "<tool_call>{</tool_call>"), Finish("stop")),
        (("see <tool_call>", "{</tool_call>"), Finish("stop")),
        (("<tool_call>{",), Finish("length")),
    ):
        reply = Reply(ask([TOOL]), can_retry=True)
        for token in written(*texts):
            reply.add(token)
        reply.finish(finish)
        assert (reply.kept, len(reply.broken)) == (None, 1)
        assert reply.finish_reason is not None


def test_a_text_of_a_form_is_no_call() -> None:
    """What a form allows is text, whatever it looks like; but a call of a tool on offer is one."""
    asked = replace(ask([TOOL]), constraint=TextAsked("response_format", text=TextForm("choice")))
    for text in ("<tool_call>{</tool_call>", CALL.replace("weather", "x")):
        reply = Reply(asked)
        events_of(reply, text)
        assert (reply.message().content, reply.broken) == (text, [])
    reply = Reply(asked)
    events_of(reply, CALL)
    assert reply.finish_reason == "tool_calls"


def anthropic(event: ReplyEvent) -> list[tuple[str, Any]]:
    """One event as Anthropic's Messages streams it, from the event alone."""
    match event:
        case Began():
            return [("message_start", None)]
        case PartBegun(part):
            block: Json = {"type": "text", "text": ""}
            if part.call:
                block = {"type": "tool_use", "id": part.call.id, "name": part.call.name}
            return [("content_block_start", (part.number, block))]
        case Piece(part, text):
            kind = ("input_json_delta", "partial_json") if part.call else ("text_delta", "text")
            return [("content_block_delta", (part.number, {"type": kind[0], kind[1]: text}))]
        case PartEnded(part):
            return [("content_block_stop", part.number)]
        case Finished(reason, stopped_by, usage):
            why = {"tool_calls": "tool_use", "length": "max_tokens"}.get(reason, "end_turn")
            delta: Json = {"stop_reason": "stop_sequence" if stopped_by else why}
            delta |= {"stop_sequence": stopped_by, "output_tokens": usage.reply_tokens}
            return [("message_delta", delta), ("message_stop", None)]


def responses(event: ReplyEvent) -> list[tuple[str, Any]]:
    """One event as OpenAI's Responses streams it, from the event alone."""
    match event:
        case Began():
            return [("created", None), ("in_progress", None)]
        case PartBegun(part):
            item = [("output_item.added", (part.number, part.call))]
            return item if part.call else [*item, ("content_part.added", (part.number, part.call))]
        case Piece(part, text, carried):
            kind = "function_call_arguments" if part.call else "output_text"
            return [(f"{kind}.delta", (part.number, text, [token.logprob for token in carried]))]
        case PartEnded(part, text):
            kinds = ["function_call_arguments"] if part.call else ["output_text", "content_part"]
            return [(f"{kind}.done", (part.number, text)) for kind in [*kinds, "output_item"]]
        case Finished(reason, _, usage):
            return [("incomplete" if reason == "length" else "completed", usage)]


def test_other_apis_can_shape_each_event_by_itself() -> None:
    """What Messages and Responses stream follows from one event at a time: nothing is parsed back.

    The names are those of their documents; agent.api will have their whole JSON.
    """
    told = events_of(Reply(ask([TOOL])), "Hm", CALL)
    names = [name for event in told for name, _ in anthropic(event)]
    assert names == [
        "message_start",
        "content_block_start", "content_block_delta", "content_block_stop",
        "content_block_start", "content_block_delta", "content_block_stop",
        "message_delta", "message_stop",
    ]  # fmt: skip
    blocks = dict(data for e in told for n, data in anthropic(e) if n == "content_block_delta")
    assert json.loads(blocks[1]["partial_json"]) == {"city": "Oslo"}
    assert [name for event in told for name, _ in responses(event)] == [
        "created", "in_progress",
        "output_item.added", "content_part.added", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta",
        "function_call_arguments.done", "output_item.done",
        "completed",
    ]  # fmt: skip

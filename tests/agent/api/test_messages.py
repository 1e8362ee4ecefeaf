"""Messages: Anthropic's shapes, whole and streamed, and every failure in its words."""

import hashlib
import json
from typing import Any

import pytest
from aiohttp import ClientResponse
from hypothesis import given
from hypothesis import strategies as st

from agent.api.messages.request import read_count, read_message
from agent.api.messages.surface import ask_of
from agent.api.parts import Parts, told_parts
from agent.engine.contract import Finish
from agent.errors import InvalidError
from agent.turn.held.constraint import Constraint, TextForm
from agent.turn.reply import PartBegun, PartEnded, Piece, Reply
from learner.judges.verifying.tool import failure
from streams import chain
from streams.records import Message
from tests.agent.api.asking import caller
from tests.agent.conftest import Api, StartApi, events_of
from tests.agent.fakes import BASE
from tests.agent.turn.test_reply import PIECES, TOOL, ask, tokens

PATH, COUNT = "/v1/messages", "/v1/messages/count_tokens"
WEATHER = {"name": "weather", "description": "Now.", "input_schema": {"type": "object"}}
CALL = [
    "Let me", " see.\n", "<tool", '_call>{"name": "weather", ', '"arguments": {"city": "Oslo"}}',
    "</tool_call>", "\n", '<tool_call>{"name": "weather", "arguments": {"arguments": [3]}}',
    "</tool_call>", "\n",
]  # fmt: skip


def body(*messages: Any, **extra: Any) -> dict[str, Any]:
    """A request; a text alone is a user's message."""
    said = [{"role": "user", "content": each} if isinstance(each, str) else each
            for each in messages or ("Hi there",)]  # fmt: skip
    return {"model": "quickset", "max_tokens": 20, "messages": said} | extra


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def use(name: str = "t1", **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": name, "name": "weather", "input": given}


def result(name: str = "t1", content: Any = "sunny", **extra: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": name, "content": content} | extra


async def error_of(response: ClientResponse, status: int, kind: str) -> str:
    """Check that a response is an error of Anthropic's shape, and return its message."""
    told = await response.json()
    assert response.status == status, told
    assert (told["type"], told["error"]["type"]) == ("error", kind)
    assert told["request_id"] == response.headers["Request-Id"]
    return str(told["error"]["message"])


async def test_a_whole_reply(api: Api) -> None:
    """A message with its content, why it ended and its tokens; the version is in the header."""
    response = await api.post(PATH, body(temperature=0.2))
    told = await response.json()
    assert response.headers["X-Quickset-Version"] == BASE
    assert (told["type"], told["role"], told["model"]) == ("message", "assistant", "quickset")
    assert told["content"] == [{"type": "text", "text": "Hello, world!", "citations": None}]
    assert (told["stop_reason"], told["stop_sequence"]) == ("end_turn", None)
    assert (told["usage"]["input_tokens"], told["usage"]["output_tokens"]) == (3, 4)
    (turn,) = api.turns()
    assert told["id"].startswith("msg_")
    assert (turn.id, turn.sampling.max_tokens) == (told["id"], 20)
    rated = await api.client.put(f"/v1/feedback/{told['id']}", json={"score": 1})
    assert rated.status == 200


async def test_a_streamed_reply(api: Api) -> None:
    """The events in Anthropic's order and under its names; joined, they are the whole."""
    told = await events_of(await api.post(PATH, body(stream=True)))
    assert all(name == data["type"] for name, data in told)
    assert [name for name, _ in told] == [
        "message_start", "ping", "content_block_start", *["content_block_delta"] * 4,
        "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip
    start, delta = told[0][1]["message"], told[-2][1]
    assert (start["content"], start["stop_reason"], start["usage"]["input_tokens"]) == ([], None, 3)
    assert "".join(d["delta"]["text"] for n, d in told if n.endswith("_delta") and "text" in
                   d["delta"]) == "Hello, world!"  # fmt: skip
    assert delta["delta"]["stop_reason"] == "end_turn"
    assert delta["usage"]["output_tokens"] == 4


@pytest.mark.parametrize("stream", [False, True])
async def test_calls_are_blocks(start_api: StartApi, stream: bool) -> None:
    """Text, then each call; what a model writes between calls is no block; input is an object."""
    api: Api = await start_api(script=CALL)
    response = await api.post(PATH, body(tools=[WEATHER], stream=stream))
    if stream:
        content, reason = joined(await events_of(response))
    else:
        told = await response.json()
        content, reason = told["content"], told["stop_reason"]
    assert reason == "tool_use"
    assert [block["type"] for block in content] == ["text", "tool_use", "tool_use"]
    assert content[0]["text"] == "Let me see.\n"
    assert [block["input"] for block in content[1:]] == [{"city": "Oslo"}, {"arguments": [3]}]
    (turn,) = api.turns()
    results = user(*(result(block["id"]) for block in content[1:]))
    back = read_message(json.dumps(body("Hi there", assistant(*content), results)).encode())
    # what is recognised by its text: an input that is no object comes back as one
    said = turn.reply.model_copy(update={"tool_calls": back.records()[1].tool_calls})
    assert chain.keys(back.records())[1] == chain.extend(turn.prefix_key, said)


def joined(told: list[tuple[str, Any]]) -> tuple[list[Any], str]:
    """Put a stream's blocks together as an SDK does."""
    blocks: list[Any] = []
    pieces: dict[int, str] = {}
    for name, data in told:
        if name == "content_block_start":
            assert data["index"] == len(blocks)
            blocks.append(data["content_block"])
        elif name == "content_block_delta" and data["delta"]["type"] == "text_delta":
            blocks[data["index"]]["text"] += data["delta"]["text"]
        elif name == "content_block_delta":
            before = pieces.get(data["index"], "")
            pieces[data["index"]] = before + data["delta"]["partial_json"]
    for index, piece in pieces.items():
        blocks[index]["input"] = json.loads(piece)
    return blocks, next(d["delta"]["stop_reason"] for n, d in told if n == "message_delta")


@pytest.mark.parametrize(
    ("extra", "reason", "sequence"),
    [({"stop_sequences": ["world"]}, "stop_sequence", "world"),
     ({"max_tokens": 2}, "max_tokens", None)],
)  # fmt: skip
async def test_why_a_reply_ended(
    api: Api, extra: dict[str, Any], reason: str, sequence: str | None
) -> None:
    """A stop sequence is named and no part of the text; a limit is said."""
    told = await (await api.post(PATH, body(**extra))).json()
    assert (told["stop_reason"], told["stop_sequence"]) == (reason, sequence)
    assert "world" not in told["content"][0]["text"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stop_behind_a_whole_call_leaves_it_to_be_made(
    start_api: StartApi, stream: bool
) -> None:
    """As with Chat: clients make calls where the reason is tool_use, and nowhere else."""
    api: Api = await start_api(script=[*CALL[:6], "\nSTOP", " here"])
    asked = body(tools=[WEATHER], stop_sequences=["STOP"], stream=stream)
    answer = await api.post(PATH, asked)
    if stream:
        told = next(d["delta"] for n, d in await events_of(answer) if n == "message_delta")
    else:
        told = await answer.json()
    assert (told["stop_reason"], told["stop_sequence"]) == ("tool_use", None)


async def test_tokens_are_counted_without_a_reply(api: Api) -> None:
    """The count is what the prompt has, whether it fits or not; nothing is sampled."""
    asked = body("w " * 100, system="Be brief.", tools=[WEATHER])
    del asked["max_tokens"]
    response = await api.post(COUNT, asked)
    assert await response.json() == {"input_tokens": 104}
    assert api.engine.streams == []
    await error_of(await api.post(COUNT, {}), 400, "invalid_request_error")


@pytest.mark.parametrize(
    "extra",
    [{}, {"notes": False}, {"output_config": {"format": {"type": "json_object"}}},
     {"tools": [WEATHER], "tool_choice": {"type": "any"}}, {"metadata": {"session_id": "s"}}],
    ids=str,
)  # fmt: skip
def test_what_is_counted_is_what_would_be_asked(extra: dict[str, Any]) -> None:
    """Whatever decides of the prompt: notes, tools of the agent's own, what a reply is held to."""
    given = body(**extra) | {"seed": 1}
    sent, who = json.dumps(given).encode(), caller()
    assert ask_of(read_count(sent), who) == ask_of(read_message(sent), who)
    del given["max_tokens"]
    counted = ask_of(read_count(json.dumps(given).encode()), who)
    assert counted.wants_notes == ("notes" not in extra)
    assert (counted.constraint is None) == (not extra.keys() & {"output_config", "tool_choice"})
    with pytest.raises(InvalidError, match="max_tokens is required"):
        read_message(json.dumps(given).encode())


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ([], {"is_error": True}),
        ([text("no such city")], {"content": "no such city", "is_error": True}),
        ([text('{"city": null}')], {"city": None, "is_error": True}),
        ([text('{"is_error": false}')], {"is_error": True}),
        ([text("[1]")], {"content": "[1]", "is_error": True}),
        ([text('{"a": "\\ud800"}')], {"content": '{"a": "\\ud800"}', "is_error": True}),
        ([text('{"a": NaN}')], {"content": '{"a": NaN}', "is_error": True}),
    ],
)
def test_a_result_that_failed_says_so_to_the_model_and_to_who_verifies(
    said: list[Any], kept: dict[str, Any]
) -> None:
    """With text or without it; what did not fail is its text."""
    asked = body("Weather?", assistant(use()), user(result("t1", said, is_error=True)))
    (*_, message) = read_message(json.dumps(asked).encode()).records()
    assert json.loads(message.content or "") == kept
    assert failure(message.content or "") == "is_error is true"
    asked["messages"][-1] = user(result("t1", said, is_error=False))
    (*_, message) = read_message(json.dumps(asked).encode()).records()
    assert message.content == "".join(each["text"] for each in said)


async def test_what_was_left_out_is_told(api: Api) -> None:
    """The oldest exchanges go by default, and the header says how many messages; or none go."""
    talk = ["w " * 40, assistant(text("w " * 9)), "w " * 20]
    response = await api.post(PATH, body(*talk))
    assert response.headers["X-Quickset-Truncated"] == "2"
    assert (await response.json())["usage"]["input_tokens"] == 21
    refused = await api.post(PATH, body(*talk, truncation="disabled"))
    assert "tokens, and 64 fit" in await error_of(refused, 400, "invalid_request_error")


def test_a_conversation_becomes_messages() -> None:
    """System first, results as messages of their own, the user's words in their order."""
    call = read_message(json.dumps(body(
        user(text("Weather?"), text("In Oslo.")),
        assistant({"type": "thinking", "thinking": "hm", "signature": "x"}, text("Let "),
                  text("me."), use(city="Oslo"), use("t2")),
        user(result(), result("t2", [text("a"), text("b")], is_error=True), text("And?")),
        assistant(text("Sunny")),
        system=[text("Be"), {"type": "text", "text": "kind.", "cache_control": {"type": "x"}}],
    )).encode())  # fmt: skip
    calls = [{"id": n, "type": "function", "function": {"name": "weather", "arguments": a}}
             for n, a in (("t1", '{"city": "Oslo"}'), ("t2", "{}"))]  # fmt: skip
    assert call.records() == [
        Message(role="system", content="Be\nkind."),
        Message(role="user", content="Weather?\nIn Oslo."),
        Message(role="assistant", content="Let me.", tool_calls=calls),
        Message(role="tool", content="sunny", tool_call_id="t1"),
        Message(role="tool", content='{"content": "a\\nb", "is_error": true}', tool_call_id="t2"),
        Message(role="user", content="And?"),
        Message(role="assistant", content="Sunny"),
    ]
    assert call.continues


@pytest.mark.parametrize(
    ("extra", "parallel", "offered", "constraint"),
    [
        ({}, True, False, None),
        ({"tools": [WEATHER]}, True, True, None),
        ({"tools": [WEATHER | {"input_examples": None}]}, True, True, None),
        ({"tools": [WEATHER], "tool_choice": {"type": "none"}}, True, False, None),
        ({"tools": [WEATHER], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
         False, True, None),
        ({"tools": [WEATHER], "tool_choice": {"type": "any"}}, True, True,
         Constraint("tool_choice", calls=("weather",))),
        ({"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "weather"}}, True, True,
         Constraint("tool_choice", calls=("weather",))),
        ({"output_config": {"format": {"type": "json_schema", "schema": {}}}}, True, False,
         Constraint("output_config.format", text=TextForm("json_schema", {}))),
        ({"thinking": {"type": "disabled"}, "mcp_servers": []}, True, False, None),
        ({"output_config": {"effort": "high", "task_budget": None}}, True, False, None),
    ],
)  # fmt: skip
def test_tools_and_their_choice(
    extra: dict[str, Any], parallel: bool, offered: bool, constraint: Constraint | None
) -> None:
    """What the model is shown and what it must keep to, in the neutral ask."""
    made = ask_of(read_message(json.dumps(body(**extra)).encode()), caller())
    function = {"name": "weather", "description": "Now.", "parameters": {"type": "object"}}
    tools = [{"type": "function", "function": function}]
    assert (made.parallel_calls, made.tools) == (parallel, tools if offered else None)
    assert made.constraint == constraint


def test_examples_of_input_are_shown_to_the_model() -> None:
    """Behind the description, where any model's template puts them; callers beside it may be."""
    callers = {"allowed_callers": ["direct", "code_execution_20250825"], "defer_loading": True}
    for described in (WEATHER, {k: v for k, v in WEATHER.items() if k != "description"}):
        tool = described | callers | {"input_examples": [{"city": "Köln"}]}
        made = ask_of(read_message(json.dumps(body(tools=[tool])).encode()), caller())
        assert made.tools is not None
        shown = made.tools[0]["function"]["description"]
        assert shown == "Now.\n" * ("description" in described) + 'Example: {"city": "Köln"}'


NOT_MANAGED: tuple[Any, ...] = (7, "x", [], True)
NO_EDITS: tuple[Any, ...] = (1, "abc", {}, False)
NO_KINDS: tuple[Any, ...] = (None, 3, "clear_tool_uses_20250919", [])
BAD: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "messages"),
    ({"messages": "Hi"}, "messages"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
    ({"messages": [user({"type": "image", "source": {}})]}, "messages[0].content[0]"),
    ({"messages": [user({"type": "document"})]}, "messages[0].content[0]"),
    ({"messages": [user({"text": "no type"})]}, "messages[0].content[0]"),
    ({"messages": [user(3)]}, "messages[0].content[0]"),
    ({"messages": [user({"type": "text"})]}, "messages[0].content[0].text"),
    ({"messages": [user(use())]}, "messages[0].content"),
    ({"messages": [user(text("a")), assistant(result())]}, "messages[1].content"),
    ({"messages": [user(result())]}, "messages"),
    ({"messages": [user(text("a")), assistant(use()), user(result("t2"))]}, "messages"),
    ({"messages": [user(text("a")), assistant(use()), user(result(), result())]}, "messages"),
    ({"messages": [user(text("a")), assistant(use()), user(text("b"))]}, "messages"),
    ({"messages": [user(text("a")), assistant(use())]}, "messages"),
    ({"messages": [user(text("a")), assistant(use()), user(result("t1", [{"type": "image"}]))]},
     "messages[2].content[0].content[0]"),
    ({"max_tokens": None}, "max_tokens"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": "9"}, "max_tokens"),
    ({"system": 3}, "system"),
    ({"system": [{"type": "image"}]}, "system[0]"),
    ({"temperature": 1.5}, "temperature"),
    ({"stop_sequences": [""]}, "stop_sequences[0]"),
    ({"stop_sequences": "x"}, "stop_sequences"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
    ({"thinking": {"type": "adaptive"}}, "thinking"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
    ({"tools": [{"name": "x"}]}, "tools[0].input_schema"),
    *(({"tools": [WEATHER | {"allowed_callers": callers}]}, "tools[0].allowed_callers")
      for callers in (["code_execution_20250825"], [], "direct")),
    ({"tools": [WEATHER | {"input_examples": ["Rome"]}]}, "tools[0].input_examples[0]"),
    ({"tools": [WEATHER | {"input_examples": [{}] * 21}]}, "tools[0].input_examples"),
    ({"tools": [WEATHER], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ({"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "x"}}, "tool_choice"),
    ({"tool_choice": {"type": "any"}}, "tool_choice"),
    ({"tool_choice": {"type": "sometimes"}}, "tool_choice.type"),
    ({"container": "c"}, "container"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"mcp_servers": [{}]}, "mcp_servers"),
    ({"output_config": {"format": {"type": "xml"}}}, "output_config.format"),
    *(({"output_config": {"effort": effort}}, "output_config.effort")
      for effort in ("low", "medium", "xhigh", "max", "some", 3, True)),
    ({"output_config": {"task_budget": {"type": "tokens", "total": 9}}},
     "output_config.task_budget"),
    ({"compaction": {"type": "summarize"}}, "compaction"),
    *(({"context_management": what}, "context_management") for what in NOT_MANAGED),
    *(({"context_management": {"edits": edits}}, "context_management.edits") for edits in NO_EDITS),
    *(({"context_management": {"edits": [edit]}}, "context_management.edits[0]")
      for edit in (1, "clear_thinking_20251015", None)),
    *(({"context_management": {"edits": [{"type": kind}]}}, "context_management.edits[0].type")
      for kind in NO_KINDS),
    ({"context_management": {"edits": [{}]}}, "context_management.edits[0].type"),
]  # fmt: skip


@pytest.mark.parametrize(("extra", "param"), BAD, ids=[str(number) for number in range(len(BAD))])
def test_what_cannot_be_meant_is_refused_by_name(extra: dict[str, Any], param: str) -> None:
    """A wrong block, an unpaired result, and what cannot be had: the message names the place."""
    for read in (read_message, read_count):
        if (extra, read) == ({"max_tokens": None}, read_count):
            continue
        with pytest.raises(InvalidError) as caught:
            read(json.dumps(body(**extra)).encode())
        assert caught.value.param == param
        assert caught.value.message.startswith(param)
        assert "{" not in caught.value.message.replace(repr(extra), "")


@pytest.mark.parametrize("edits", [None, [], [{"type": "clear_thinking_20251015", "keep": "all"}]])
def test_edits_that_clear_thinking_are_none(edits: Any) -> None:
    """There is none in a prompt; so is what asks for no edit at all."""
    for managed in (None, {}, {"edits": edits}):
        read_message(json.dumps(body(context_management=managed)).encode())


def test_to_fill_the_cache_alone_is_refused_in_words() -> None:
    """Anthropic reads a prompt without answering it where max_tokens is 0; this server does not."""
    with pytest.raises(InvalidError, match="max_tokens: 0 asks to read the prompt into the cache"):
        read_message(json.dumps(body(max_tokens=0)).encode())


async def test_errors_have_this_apis_shape(start_api: StartApi) -> None:
    """Of every kind, also where no route or method is, and for clients that only say so."""
    key = hashlib.sha256(b"ann").hexdigest()
    api: Api = await start_api(keys={"ann": key}, requests_per_minute=4, max_body_bytes=2048)
    await error_of(await api.post(PATH, body()), 401, "authentication_error")
    api.headers = {"x-api-key": "ann", "anthropic-version": "2023-06-01"}
    await error_of(await api.post(PATH, body(max_tokens=-1)), 400, "invalid_request_error")
    await error_of(await api.post(PATH, body(model="gpt-4o")), 404, "not_found_error")
    await error_of(await api.post(PATH, body("x" * 4000)), 413, "request_too_large")
    asked = await api.post(PATH, body(tools=[WEATHER], tool_choice={"type": "any"}))
    assert "tool_choice" in await error_of(asked, 400, "invalid_request_error")
    await error_of(await api.post(PATH, body()), 429, "rate_limit_error")
    await error_of(await api.client.get(PATH), 405, "invalid_request_error")
    await error_of(await api.client.post("/v1/messages/batches"), 404, "not_found_error")
    elsewhere = await api.client.get("/v1/models/claude", headers=api.headers)
    await error_of(elsewhere, 404, "not_found_error")
    (turns,) = [api.turns()]
    assert turns == []


async def test_a_failure_in_mid_stream_is_an_event(start_api: StartApi) -> None:
    """A stream that has begun tells its reader that it ends too early."""
    api: Api = await start_api(script=["a", RuntimeError("boom")])
    *_, (name, data) = await events_of(await api.post(PATH, body(stream=True)))
    assert (name, data["error"]["type"]) == ("error", "api_error")


async def test_models_are_told_to_anthropics_clients(api: Api) -> None:
    """The list is theirs, too: type, display_name, and where it ends."""
    listed = await (await api.client.get("/v1/models")).json()
    assert listed["has_more"] is False
    assert listed["data"][0]["type"] == "model"
    assert (listed["first_id"], listed["last_id"]) == ("quickset", "quickset@stable")
    page = await (await api.client.get("/v1/models?limit=1&after_id=quickset")).json()
    assert [model["id"] for model in page["data"]] == ["quickset@stable"]
    theirs = {"anthropic-version": "2023-06-01"}
    refused = await api.client.get("/v1/models?limit=0", headers=theirs)
    assert "limit" in await error_of(refused, 400, "invalid_request_error")


@given(st.lists(PIECES, max_size=12))
def test_told_parts_are_the_parts_that_say_something(texts: list[str]) -> None:
    """Streamed or whole, the same parts in the same order, numbered from 0, each text unchanged."""
    reply, parts = Reply(ask([TOOL])), Parts()
    events = [event for token in tokens(*texts) for event in parts.told(reply.add(token))]
    events += parts.told(reply.finish(Finish("stop")))
    whole = told_parts(reply.parts)
    begun = [event.part for event in events if isinstance(event, PartBegun)]
    ended = [(event.part, event.text) for event in events if isinstance(event, PartEnded)]
    assert begun == [part for part, _ in whole]
    assert [part.number for part in begun] == list(range(len(begun)))
    assert ended == whole
    for part, said in whole:
        pieces = [e.text for e in events if isinstance(e, Piece) and e.part == part]
        assert "".join(pieces) == said
    spoken = "".join(said for part, said in reply.parts if part.call is None)
    told = "".join(said for part, said in whole if part.call is None)
    assert told.strip() == spoken.strip()


@pytest.mark.parametrize("encoding", ["br", "zstd", "nonsense", "gzip"])
async def test_a_body_that_cannot_be_decoded_is_answered_in_anthropics_shape(
    api: Api, encoding: str
) -> None:
    """Whatever the encoding: what refuses it knows which API was asked."""
    headers = {"anthropic-version": "2023-06-01", "Content-Encoding": encoding}
    answer = await api.client.post("/v1/messages", data=b"xx", headers=headers)
    told = await answer.json()
    assert (answer.status, told["type"]) == (400, "error")
    assert told["error"]["type"] == "invalid_request_error"
    assert "encod" in told["error"]["message"].lower()

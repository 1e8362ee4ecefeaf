"""The API as clients see it: OpenAI's shapes, whole and streamed, and every failure in words."""

import asyncio
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from agent.errors import BrokenLogitsError, EngineStoppedError, QueueFullError
from streams import chain
from streams.errors import LogUnavailableError
from streams.log.contract import Partition, Topic
from streams.log.sqlite import SqliteLog
from streams.records import Message
from tests.agent.conftest import Api, StartApi
from tests.agent.fakes import BASE, FakeBase

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = ["Let me", " see. ", "<tool", '_call>{"name": "weather", ', '"arguments": {"city": "Oslo"}}',
        "</tool_call>"]  # fmt: skip
STREAM = {"stream": True}


async def events(response: ClientResponse) -> list[Any]:
    """Read a whole stream: the JSON of each event, and its end mark."""
    assert response.headers["Content-Type"].startswith("text/event-stream")
    lines = (await response.text()).split("\n\n")
    assert lines.pop() == ""
    data = [line.removeprefix("data: ") for line in lines]
    return [each if each == "[DONE]" else json.loads(each) for each in data]


async def error_of(response: ClientResponse, status: int) -> dict[str, Any]:
    """Check that a response is an error of OpenAI's shape."""
    body = await response.json()
    assert response.status == status, body
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert "Traceback" not in body["error"]["message"]
    error: dict[str, Any] = body["error"]
    return error


async def test_a_whole_reply(api: Api) -> None:
    """A plain request is answered in one chat.completion, with the version that sampled it."""
    response = await api.chat(temperature=0.2, seed=7)
    body = await response.json()
    assert response.headers["X-Quickset-Version"] == body["system_fingerprint"] == BASE
    assert (body["object"], body["model"]) == ("chat.completion", "quickset")
    choice = body["choices"][0]
    said = {"role": "assistant", "content": "Hello, world!", "refusal": None}
    assert choice["message"] == said | {"annotations": []}
    assert (choice["finish_reason"], choice["logprobs"]) == ("stop", None)
    usage = body["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (3, 4, 7)
    assert usage["prompt_tokens_details"] == {"cached_tokens": 0, "truncated_tokens": 0}


async def test_a_streamed_reply(api: Api) -> None:
    """A stream opens with the role, goes on token by token, says why it ended, and ends."""
    response = await api.chat(**STREAM)
    assert response.headers["X-Quickset-Version"] == BASE
    *chunks, done = await events(response)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert [delta["content"] for delta in deltas[1:-1]] == ["Hello", ",", " world", "!"]
    assert deltas[-1] == {}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * 5 + ["stop"]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert {chunk["system_fingerprint"] for chunk in chunks} == {BASE}
    assert done == "[DONE]"


async def test_tokens_are_sent_when_they_are_sampled(start_api: StartApi) -> None:
    """The first token reaches the reader before the second one is sampled."""
    api: Api = await start_api(script=["first", "⏸", "second"])
    response = await api.chat(**STREAM)
    seen = b""
    while b"first" not in seen:
        seen += await response.content.readany()
    assert b"second" not in seen
    api.engine.streams[0].gate.set()
    assert b"second" in await response.content.read()


async def test_usage_is_sent_when_asked_for(api: Api) -> None:
    """stream_options.include_usage adds a last chunk without choices; the others say null."""
    *chunks, _ = await events(await api.chat(stream=True, stream_options={"include_usage": True}))
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] == 7
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


async def test_logprobs_of_the_chosen_tokens(api: Api) -> None:
    """logprobs: true gives what was recorded, whole and streamed, token by token."""
    body = await (await api.chat(logprobs=True)).json()
    whole = body["choices"][0]["logprobs"]["content"]
    assert [each["token"] for each in whole] == ["Hello", ",", " world", "!"]
    assert whole[0] == {"token": "Hello", "logprob": -0.5, "bytes": list(b"Hello"),
                        "top_logprobs": []}  # fmt: skip
    *chunks, _ = await events(await api.chat(stream=True, logprobs=True))
    logprobs = [chunk["choices"][0]["logprobs"] for chunk in chunks]
    assert [each for some in logprobs if some for each in some["content"]] == whole


async def test_the_likeliest_tokens_are_told_where_asked_for(api: Api) -> None:
    """Each token comes with as many as were asked for, by name, log-probability and bytes."""
    body = await (await api.chat(logprobs=True, top_logprobs=2)).json()
    first = body["choices"][0]["logprobs"]["content"][0]
    assert first["top_logprobs"] == [
        {"token": "Hello", "logprob": -0.5, "bytes": list(b"Hello")},
        {"token": "Hello", "logprob": -1.5, "bytes": list(b"Hello")},
    ]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("most", "text"), [(1, ""), (2, "é"), (3, "é"), (4, "é"), (5, "é€")])
async def test_a_character_that_the_end_cuts_is_not_told(
    api: Api, stream: bool, most: int, text: str
) -> None:
    """Nor recorded, whole or streamed; its bytes are named in logprobs."""
    api.engine.script = [chr(byte) for byte in "é€".encode()]
    api.engine.writes = lambda each: each.encode("latin-1")
    response = await api.chat(logprobs=True, max_tokens=most, stream=stream)
    if stream:
        chunks = [chunk["choices"][0] for chunk in (await events(response))[:-1]]
        said = "".join(chunk["delta"].get("content") or "" for chunk in chunks)
        told = [each for chunk in chunks for each in (chunk["logprobs"] or {}).get("content", [])]
    else:
        choice = (await response.json())["choices"][0]
        said, told = choice["message"]["content"], choice["logprobs"]["content"]
    assert said == text
    assert bytes(byte for each in told for byte in each["bytes"]) == "é€".encode()[:most]
    (turn,) = api.turns()
    assert (turn.reply.content, len(turn.logprobs)) == (text, most)


@pytest.mark.parametrize("stream", [False, True])
async def test_logprobs_are_right_beside_stop_strings(start_api: StartApi, stream: bool) -> None:
    """Tokens are named as they are sampled, not as their text is let go."""
    api: Api = await start_api(script=["One", " two", " three", " th", "e's", " end"])
    response = await api.chat(logprobs=True, stop=["e's"], stream=stream)
    if stream:
        chunks = [chunk["choices"][0] for chunk in (await events(response))[:-1]]
        text = "".join(chunk["delta"].get("content", "") for chunk in chunks)
        told = [each for chunk in chunks for each in (chunk["logprobs"] or {}).get("content", [])]
    else:
        choice = (await response.json())["choices"][0]
        text, told = choice["message"]["content"], choice["logprobs"]["content"]
    assert text == "One two three th"
    assert [each["token"] for each in told] == ["One", " two", " three", " th", "e's"]
    assert [bytes(each["bytes"]).decode() for each in told] == [each["token"] for each in told]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_was_left_out_of_the_prompt_is_told(api: Api, stream: bool) -> None:
    """With truncation auto: in a header, in the usage, and in the turn."""
    talk = [{"role": "user", "content": "w " * 40}, {"role": "assistant", "content": "w " * 9},
            {"role": "user", "content": "w " * 20}]  # fmt: skip
    await error_of(await api.chat(messages=talk, truncation="disabled"), 400)
    extra = {"stream_options": {"include_usage": True}} if stream else {}
    response = await api.chat(messages=talk, truncation="auto", stream=stream, **extra)
    assert response.headers["X-Quickset-Truncated"] == "2"
    usage = (await events(response))[-2]["usage"] if stream else (await response.json())["usage"]
    assert usage["prompt_tokens"] == 21
    assert usage["prompt_tokens_details"]["truncated_tokens"] == 49
    while not api.turns():
        await asyncio.sleep(0)
    (turn,) = api.turns()
    assert (turn.cut_messages, turn.cut_tokens) == (2, 49)
    assert (len(turn.messages), len(turn.prompt_token_ids)) == (3, 21)
    assert "X-Quickset-Truncated" not in (await api.chat(stream=stream)).headers


async def test_a_limit_over_the_context_is_cut(api: Api) -> None:
    """Agents ask for more than there is: the reply ends where the context does, and says so."""
    for name in ("max_tokens", "max_completion_tokens"):
        response = await api.chat("w " * 62, **{name: 16_384})
        choice = (await response.json())["choices"][0]
        assert (response.status, choice["finish_reason"]) == (200, "length")


async def test_a_negative_seed_is_one(api: Api) -> None:
    """Clients draw seeds from all that 64 bits hold."""
    for seed in (-1, -(2**63), 2**63 - 1):
        assert (await api.chat(seed=seed)).status == 200
    assert [turn.sampling.seed for turn in api.turns()] == [-1, -(2**63), 2**63 - 1]


async def test_a_bias_of_no_token_is_refused(api: Api) -> None:
    """Beyond the vocabulary there is nothing to bias."""
    error = await error_of(await api.chat(logit_bias={"5000": 1}), 400)
    assert error["param"] == "logit_bias"
    assert (await api.chat(logit_bias={"4999": 1})).status == 200


async def test_feedback_on_a_choice_that_there_was_not_is_not_found(api: Api) -> None:
    """The id of a response tells how many choices it had."""
    one, three = [(await (await api.chat(n=n)).json())["id"] for n in (1, 3)]
    for name, status in [
        (one, 200), (f"{one}-1", 404), (f"{one}-7", 404), (f"{one}-0", 404),
        (three, 200), (f"{three}-2", 200), (f"{three}-3", 404),
    ]:  # fmt: skip
        response = await api.client.put(f"/v1/feedback/{name}", json={"score": 1})
        assert response.status == status, name


async def test_tool_calls_are_parsed(start_api: StartApi) -> None:
    """A Hermes-style call in the reply becomes tool_calls, whole and streamed."""
    api: Api = await start_api(script=CALL)
    choice = (await (await api.chat(tools=[TOOL])).json())["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "Let me see. "
    call = choice["message"]["tool_calls"][0]
    assert call["function"] == {"name": "weather", "arguments": '{"city": "Oslo"}'}
    *chunks, _ = await events(await api.chat(tools=[TOOL], stream=True))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert "".join(delta.get("content", "") for delta in deltas) == "Let me see. "
    streamed = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert [(each["index"], each["function"]["name"]) for each in streamed] == [(0, "weather")]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_without_tools_a_call_is_text(start_api: StartApi) -> None:
    """Who offered no tools, or forbade them, gets the reply as it was sampled."""
    api: Api = await start_api(script=CALL)
    for extra in ({}, {"tools": [TOOL], "tool_choice": "none"}):
        message = (await (await api.chat(**extra)).json())["choices"][0]["message"]
        assert message["content"] == "".join(CALL)
        assert "tool_calls" not in message


async def test_one_call_at_a_time_when_asked(start_api: StartApi) -> None:
    """parallel_tool_calls: false keeps the first call only."""
    api: Api = await start_api(script=CALL * 2)
    body = await (await api.chat(tools=[TOOL], parallel_tool_calls=False, max_tokens=40)).json()
    assert len(body["choices"][0]["message"]["tool_calls"]) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_several_choices(api: Api, stream: bool) -> None:
    """n choices are sampled apart, numbered, and each recorded as a turn of its own."""
    response = await api.chat(n=3, seed=10, stream=stream)
    if stream:
        *chunks, _ = await events(response)
        texts = {
            number: "".join(
                chunk["choices"][0]["delta"].get("content", "")
                for chunk in chunks
                if chunk["choices"][0]["index"] == number
            )
            for number in range(3)
        }
        response_id = chunks[0]["id"]
    else:
        body = await response.json()
        texts = {each["index"]: each["message"]["content"] for each in body["choices"]}
        response_id = body["id"]
        assert body["usage"]["completion_tokens"] == 12
    assert texts == dict.fromkeys(range(3), "Hello, world!")
    turns = api.turns()
    assert [turn.id for turn in turns] == [response_id, f"{response_id}-1", f"{response_id}-2"]
    assert [turn.sampling.seed for turn in turns] == [10, 11, 12]


async def test_the_turn_is_recorded_as_it_was_sampled(api: Api) -> None:
    """Token ids, both log-probabilities, sampling, version and keys are in the turn."""
    body = await (await api.chat("What is it?", temperature=0, stop="END", seed=3)).json()
    (turn,) = api.turns()
    user = Message(role="user", content="What is it?")
    assert turn.id == body["id"]
    assert (turn.line, turn.version, turn.principal) == ("main", BASE, "anonymous")
    assert turn.messages == [user]
    assert turn.reply == Message(role="assistant", content="Hello, world!")
    assert turn.prompt_token_ids == [0, 1, 2, 3]
    assert turn.token_ids == [0, 1, 2, 3]
    assert (turn.logprobs, turn.sampling_logprobs) == ([-0.5] * 4, [-0.25] * 4)
    assert (turn.sampling.temperature, turn.sampling.seed, turn.sampling.stop) == (0, 3, ["END"])
    assert turn.prefix_key == chain.keys([user])[-1]
    assert turn.key == chain.extend(turn.prefix_key, turn.reply)
    assert (turn.finish_reason, turn.learn, turn.purpose) == ("stop", True, "main")
    assert turn.session == chain.session_of([user], "anonymous")
    assert api.spool.records[0].key == f"main/{turn.session}"


async def test_the_turn_says_where_its_request_came_from(api: Api) -> None:
    """Client, trace and resend are in the turn; a header that cannot be read is none."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    api.headers = {"User-Agent": "OpenAI/Python 1.9", "Idempotency-Key": "once",
                   "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}  # fmt: skip
    for _ in range(2):
        await api.chat("Again")
    api.headers = {"traceparent": "nonsense"}
    await api.chat("Again")
    first, second, third = api.turns()
    assert (first.client, first.trace) == ("OpenAI/Python", trace)
    assert first.idempotency_key == second.idempotency_key is not None
    assert first.body_key == second.body_key == third.body_key is not None
    assert (third.idempotency_key, len(third.trace or "")) == (None, 32)
    assert third.trace not in (trace, None)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_reply_that_arrived_is_recorded_as_delivered(api: Api, stream: bool) -> None:
    """Whole or streamed, when the last byte went to a socket that was still there."""
    await (await api.chat(stream=stream)).read()
    while not api.turns():
        await asyncio.sleep(0)
    assert [turn.delivered for turn in api.turns()] == [True]


async def test_the_next_request_continues_the_chain(start_api: StartApi) -> None:
    """What was streamed, sent back with a follow-up, passes through the recorded turn's key."""
    api: Api = await start_api(script=CALL)
    *chunks, _ = await events(await api.chat("Weather?", tools=[TOOL], stream=True))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    calls = [
        {key: value for key, value in each.items() if key != "index"}
        for delta in deltas
        for each in delta.get("tool_calls", [])
    ]
    history = [
        Message(role="user", content="Weather?"),
        Message(role="assistant", content="Let me see.", tool_calls=calls),
    ]
    assert chain.keys(history)[-1] == api.turns()[0].key


@pytest.mark.parametrize(
    ("headers", "extra", "learn", "purpose"),
    [
        ({}, {"store": False}, False, "main"),
        ({"X-Learn": "off"}, {}, False, "main"),
        ({"X-Turn-Type": "side"}, {}, True, "side"),
        ({}, {"metadata": {"a": "b"}, "user": "u"}, True, "main"),
    ],
)
async def test_what_the_client_says_about_learning(
    api: Api, headers: dict[str, str], extra: dict[str, Any], learn: bool, purpose: str
) -> None:
    """Opt-outs and side turns are recorded as such."""
    api.headers = headers
    await api.chat(**extra)
    assert [(turn.learn, turn.purpose) for turn in api.turns()] == [(learn, purpose)]


async def test_a_chore_is_recorded_as_one(api: Api) -> None:
    """A client's title request is answered, and marked as never to be trained on."""
    response = await api.chat("### Task:\nGenerate a concise, 3-5 word title with an emoji")
    assert response.status == 200
    assert api.turns()[0].purpose == "chore"


async def test_a_cancelled_stream_is_recorded(start_api: StartApi) -> None:
    """When the client goes, the engine is told, and what was sampled is kept."""
    api: Api = await start_api(script=["a", "b", "⏸", "c"])
    response = await api.chat(**STREAM)
    seen = b""
    while b'"b"' not in seen:
        seen += await response.content.readany()
    response.close()
    await asyncio.wait_for(api.engine.streams[0].gate.wait(), 60)
    while not api.turns():
        await asyncio.sleep(0)
    (turn,) = api.turns()
    assert api.engine.streams[0].cancelled
    assert (turn.finish_reason, turn.reply.content, len(turn.token_ids)) == ("cancelled", "ab", 2)
    assert turn.delivered is False


async def test_a_client_that_goes_while_it_waits_frees_its_place(start_api: StartApi) -> None:
    """A plain request whose client is gone is cancelled before its first token."""
    api: Api = await start_api(script=["⏸", "never"])
    asking = asyncio.create_task(api.chat())
    while not api.engine.streams:
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait_for(api.engine.streams[0].gate.wait(), 60)
    assert api.engine.streams[0].cancelled
    assert api.turns() == []


@pytest.mark.parametrize("extra", [{}, {"n": 2}, {"tools": [TOOL]}])
async def test_a_whole_reply_whose_client_goes_is_recorded(
    start_api: StartApi, extra: dict[str, Any]
) -> None:
    """As far as it was sampled, though its tokens are read in groups and none was full."""
    api: Api = await start_api(script=["a", "b", "⏸", "c"])
    asking = asyncio.create_task(api.chat(**extra))
    while api.engine.counts.sampled_tokens < 2 * extra.get("n", 1):
        await asyncio.sleep(0)
    asking.cancel()
    while len(api.turns()) < extra.get("n", 1):
        await asyncio.sleep(0)
    for turn in api.turns():
        assert (turn.finish_reason, turn.delivered) == ("cancelled", False)
        assert (turn.reply.content, len(turn.token_ids)) == ("ab", 2)


async def test_a_full_queue_says_when_to_come_back(api: Api) -> None:
    """429 with Retry-After; of several choices none stays behind."""
    refusals = iter([None, QueueFullError("full")])
    api.engine.refuse = lambda: next(refusals)
    response = await api.chat(n=2)
    error = await error_of(response, 429)
    assert (error["type"], error["code"]) == ("rate_limit_error", "queue_full")
    assert int(response.headers["Retry-After"]) >= 1
    assert api.engine.streams[0].cancelled


async def test_a_stopped_engine_is_told(api: Api) -> None:
    """503 in words, from the engine's refusal and from readiness alike."""
    api.engine.refuse = lambda: EngineStoppedError("its thread ended")
    for _ in range(2):  # the first is the engine's own refusal
        response = await api.chat()
        await error_of(response, 503)
        assert int(response.headers["Retry-After"]) >= 1
        api.engine.alive = False
    response = await api.client.get("/health/ready")
    assert response.status == 503
    assert "engine" in (await response.json())["reasons"][0]


@pytest.mark.parametrize(
    ("fault", "status"), [(EngineStoppedError("it died"), 503), (BrokenLogitsError("NaN"), 500)]
)
async def test_a_reply_that_the_engine_gives_up_is_told(
    start_api: StartApi, fault: Exception, status: int
) -> None:
    """What ends a reply too early is said in the engine's words."""
    api: Api = await start_api(script=["a", fault])
    assert str(fault) in (await error_of(await api.chat(), status))["message"]
    *_, last = await events(await api.chat(stream=True))
    assert str(fault) in last["error"]["message"]


@pytest.mark.parametrize("extra", [{}, STREAM])
async def test_an_engine_that_breaks_is_our_fault(
    start_api: StartApi, extra: dict[str, Any]
) -> None:
    """A failure before the first token is a 500 in words; the request is cancelled."""
    api: Api = await start_api(script=[RuntimeError("boom")])
    error = await error_of(await api.chat(**extra), 500)
    assert "boom" not in error["message"]
    assert api.engine.streams[0].cancelled


async def test_a_failure_in_mid_stream_is_an_event(start_api: StartApi) -> None:
    """A stream that has begun tells its reader that it ends too early, and is recorded."""
    api: Api = await start_api(script=["a", RuntimeError("boom")])
    *_, last = await events(await api.chat(**STREAM))
    assert last["error"]["type"] == "server_error"
    assert (api.turns()[0].finish_reason, api.turns()[0].delivered) == ("cancelled", False)


@pytest.mark.parametrize(
    ("extra", "param", "code"),
    [
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"response_format": {"type": "json_object"}}, "response_format", "unsupported_parameter"),
        ({"tools": [TOOL], "tool_choice": "required"}, "tool_choice", "unsupported_parameter"),
        ({"messages": [{"role": "user", "content": "w " * 64}]}, "messages",
         "context_length_exceeded"),
        ({"messages": [{"role": "user", "content": "refuse me"}]}, "messages", "invalid_value"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content",
         "invalid_value"),
        ({"n": 9}, "n", "invalid_value"),
        ({"temperature": "hot"}, "temperature", "invalid_value"),
    ],
)  # fmt: skip
async def test_bad_requests_name_their_parameter(
    api: Api, extra: dict[str, Any], param: str, code: str | None
) -> None:
    """What cannot be answered is a 400 with the parameter; nothing reaches the engine."""
    error = await error_of(await api.chat(**extra), 400)
    assert (error["param"], error["code"]) == (param, code)
    assert api.engine.streams == []


async def test_a_reply_is_cut_where_the_context_ends(api: Api) -> None:
    """A limit is shortened to the room that the prompt leaves, however large it is."""
    for limit in (64, 10**12):
        await api.chat("w " * 60, max_tokens=limit)
    assert [stream.request.sampling.max_tokens for stream in api.engine.streams] == [3, 3]


async def test_defaults_come_from_the_settings(start_api: StartApi) -> None:
    """A request that names no sampling is sampled as the settings say, with a drawn seed."""
    api: Api = await start_api(
        default_temperature=0.3, default_top_p=0.8, default_max_tokens=5, base=FakeBase()
    )
    await api.chat()
    await api.chat()
    first, second = (stream.request.sampling for stream in api.engine.streams)
    assert (first.temperature, first.top_p, first.max_tokens) == (0.3, 0.8, 5)
    assert first.seed != second.seed


async def test_a_model_s_own_sampling_stands_where_nothing_else_is_said(
    start_api: StartApi,
) -> None:
    """The request's comes first, then what is set, then what the model suggests."""
    suggested = {"temperature": 0.6, "top_p": 0.7, "top_k": 20, "repetition_penalty": 1.05}
    api: Api = await start_api(default_top_p=0.9, base=FakeBase(suggested=suggested))
    await api.chat()
    await api.chat(temperature=0, top_k=-1, repetition_penalty=1, min_p=0.5)
    told = [
        (each.temperature, each.top_p, each.top_k, each.min_p, each.repetition_penalty)
        for each in (stream.request.sampling for stream in api.engine.streams)
    ]
    assert told == [(0.6, 0.9, 20, 0, 1.05), (0, 0.9, 0, 0.5, 1)]
    assert api.engine.streams[0].request.sampling.frequency_penalty == 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v2/chat", 404), ("GET", "/v1/chat/completions", 405), ("DELETE", "/health", 405),
     ("GET", "/v1/models/gpt-4o", 404), ("POST", "/%ff%00", 404)],
)  # fmt: skip
async def test_unknown_routes_methods_and_models(
    api: Api, method: str, path: str, status: int
) -> None:
    """They are OpenAI-shaped too."""
    response = await api.client.request(method, path)
    await error_of(response, status)
    assert status != 405 or response.headers["Allow"]


async def test_an_unknown_model_is_not_found(api: Api) -> None:
    """Asking another model's name is a 404 that says where to look."""
    error = await error_of(await api.chat(model="gpt-4o"), 404)
    assert (error["param"], error["code"]) == ("model", "model_not_found")


async def test_the_models_are_listed(start_api: StartApi) -> None:
    """The line under its names, and under those that settings add; each may be asked for."""
    api: Api = await start_api(aliases={"gpt-4o-mini": "quickset"})
    listed = (await (await api.client.get("/v1/models")).json())["data"]
    names = [model["id"] for model in listed]
    assert names == ["quickset", "quickset@stable", "gpt-4o-mini"]
    for name in (*names, "quickset:main", f"quickset@{BASE}", f"quickset:main@{BASE}"):
        shown = await (await api.client.get(f"/v1/models/{name}")).json()
        assert (shown["id"], shown["version"], shown["context_length"]) == (name, BASE, 64)
        assert (await (await api.chat(model=name)).json())["model"] == name


@pytest.mark.parametrize("which", ["previous", "candidate", "0123456789abcdef", "x"])
async def test_a_version_that_is_none_now_is_not_found(api: Api, which: str) -> None:
    """A name of what does not exist is a 404 that says why."""
    error = await error_of(await api.chat(model=f"quickset@{which}"), 404)
    assert (error["param"], error["code"]) == ("model", "model_not_found")
    await error_of(await api.client.get(f"/v1/models/quickset@{which}"), 404)


async def test_an_oversized_body_is_refused(start_api: StartApi) -> None:
    """413 in words, and the connection's next request is answered."""
    api: Api = await start_api(max_body_bytes=2048)
    error = await error_of(await api.chat("x" * 5000), 413)
    assert "2048" in error["message"]
    assert (await api.chat("short")).status == 200


@pytest.mark.parametrize(
    ("body", "headers"),
    [(b"", {}), (b"{", {}), (b"[" * 60_000, {}), (b"\x1f\x8b broken", {"Content-Encoding": "gzip"}),
     (b"\xff\xfe", {}), (b'{"model": "quickset", "messages": NaN}', {})],
    ids=["empty", "broken", "deep", "gzip", "utf-16", "nan"],
)  # fmt: skip
async def test_broken_bodies_are_refused(api: Api, body: bytes, headers: dict[str, str]) -> None:
    """What is no JSON is a 400, whatever its bytes."""
    response = await api.client.post("/v1/chat/completions", data=body, headers=headers)
    await error_of(response, 400)


async def test_a_body_that_cannot_be_decoded_is_no_failure_of_ours(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is in the log of what a client got wrong, and the next request is answered."""
    for _ in range(2):
        response = await api.client.post(
            "/v1/chat/completions", data=b"xxx", headers={"Content-Encoding": "gzip"}
        )
        await error_of(response, 400)
    assert (await api.chat()).status == 200
    assert [each.message for each in caplog.records if each.levelname == "ERROR"] == []


async def test_keys_are_asked_for(start_api: StartApi) -> None:
    """With keys set, a request without a known one is a 401; a known one is its principal."""
    digest = hashlib.sha256(b"secret key").hexdigest()
    api: Api = await start_api(keys={"ann": digest})
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        api.headers = headers
        response = await api.chat()
        assert (await error_of(response, 401))["code"] == "invalid_api_key"
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert (await api.client.get("/v1/models", headers=headers)).status == 401
    api.headers = {"Authorization": "Bearer secret key"}
    assert (await api.chat()).status == 200
    assert api.turns()[0].principal == digest[:16]
    assert (await api.client.get("/health")).status == 200


async def test_the_last_feedback_counts(api: Api) -> None:
    """Each is recorded, the same again, too: another replica may have taken one meanwhile."""
    response_id = (await (await api.chat()).json())["id"]
    url = f"/v1/feedback/{response_id}"
    first = await (await api.client.put(url, json={"score": -1, "hint": "Be brief."})).json()
    again = await (await api.client.put(url, json={"thumb": "down", "hint": "Be brief."})).json()
    assert first | {"id": again["id"], "created": again["created"]} == again
    assert (first["score"], first["hint"], first["response_id"]) == (-1, "Be brief.", response_id)
    await api.client.put(url, json={"thumb": "up"})
    await api.client.put(url, json={"score": -1, "hint": "Be brief."})
    (turn,) = api.turns()
    assert [record.score for record in api.feedback()] == [-1, -1, 1, -1]
    assert {record.turn_id for record in api.feedback()} == {turn.id}
    assert {record.session for record in api.feedback()} == {turn.session}
    assert len({record.id for record in api.feedback()}) == 4


async def test_feedback_on_an_unknown_response_is_not_found(api: Api) -> None:
    """Invented ids are a 404 that says where ids come from."""
    for response_id in ("chatcmpl-1", "x", "chatcmpl-" + "0" * 64):
        response = await api.client.put(f"/v1/feedback/{response_id}", json={"score": 1})
        assert (await error_of(response, 404))["code"] == "response_not_found"
    assert api.feedback() == []


async def test_feedback_is_its_principals_own(start_api: StartApi) -> None:
    """Whoever did not get the reply may not rate it."""
    keys = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("ann", "bob")}
    api: Api = await start_api(keys=keys)
    api.headers = {"Authorization": "Bearer ann"}
    url = f"/v1/feedback/{(await (await api.chat()).json())['id']}"
    bob = {"Authorization": "Bearer bob"}
    assert (await api.client.put(url, json={"score": 1}, headers=bob)).status == 404
    assert (await api.client.put(url, json={"score": 1})).status == 401
    assert (await api.client.put(url, json={"score": 1}, headers=api.headers)).status == 200


async def test_feedback_that_cannot_be_kept_is_not_taken(api: Api) -> None:
    """When the disk refuses it the client is told, and may give it again."""
    url = f"/v1/feedback/{(await (await api.chat()).json())['id']}"
    api.spool.keeps = False
    response = await api.client.put(url, json={"score": 1})
    await error_of(response, 503)
    assert int(response.headers["Retry-After"]) >= 1
    api.spool.keeps = True
    assert (await api.client.put(url, json={"score": 1})).status == 200
    assert len(api.feedback()) == 1


async def test_a_spool_that_refuses_does_not_stop_replies(api: Api) -> None:
    """Turns that cannot be kept are told once; replies go on."""
    api.spool.keeps = False
    for _ in range(3):
        assert (await api.chat()).status == 200
    assert [event.kind for event in api.service.events] == ["dropped"]


async def test_ready_says_what_serves(api: Api) -> None:
    """Alive at once; ready when the log has been read, with the version in the body."""
    assert (await (await api.client.get("/health")).json()) == {"status": "alive"}
    while (response := await api.client.get("/health/ready")).status != 200:
        assert "ledger" in (await response.json())["reasons"][0]
    body = await response.json()
    assert (body["status"], body["version"], body["warnings"]) == ("ready", BASE, {})


class SlowLog(SqliteLog):
    """A log whose ledger is there once its gate opens, or is away."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.gate, self.away = threading.Event(), False

    def end_offsets(self, topic: Topic) -> dict[Partition, int]:
        if topic == "recipes":
            if self.away:
                raise LogUnavailableError("the broker is away")
            self.gate.wait()
        return super().end_offsets(topic)


@pytest.fixture
def slow_log(tmp_path: Path) -> Iterator[SlowLog]:
    with closing(SlowLog(tmp_path / "slow.db")) as log:
        yield log


async def test_a_start_answers_by_what_is_decided(slow_log: SlowLog, start_api: StartApi) -> None:
    """While the ledger is read no reply is the base's: a request waits a little, or is told."""
    api: Api = await start_api(log=slow_log)
    try:
        early = await api.chat()
        assert (await error_of(early, 503))["code"] == "unavailable"
        assert int(early.headers["Retry-After"]) >= 1
        waits = asyncio.create_task(api.chat())
        await asyncio.sleep(0.1)
        assert not waits.done()
        assert api.engine.streams == []
    finally:
        slow_log.gate.set()
    assert (await waits).status == 200
    assert (await api.chat()).status == 200


async def test_a_log_that_is_away_keeps_nobody_waiting(
    slow_log: SlowLog, start_api: StartApi
) -> None:
    """What is in memory serves, at a start too."""
    slow_log.away = True
    api: Api = await start_api(log=slow_log)
    assert (await api.chat()).status == 200


async def test_draining_refuses_new_requests(api: Api) -> None:
    """While it stops, the agent says so and takes nothing new."""
    await api.service.stop()
    assert api.engine.drained_s == 20.0
    response = await api.chat()
    await error_of(response, 503)
    assert response.headers["Retry-After"]
    assert (await api.client.get("/health/ready")).status == 503
    assert (await api.client.get("/health")).status == 200


async def test_metrics_count_what_happened(api: Api) -> None:
    """Requests, tokens, latencies, versions and the spool are in Prometheus's format."""
    await api.chat(stream=True, tools=[TOOL])
    await api.chat(n=99)
    await api.client.get("/nowhere/else")
    response = await api.client.get("/metrics")
    text = await response.text()
    assert response.headers["Content-Type"].startswith("text/plain")
    for line in (
        'quickset_requests_total{route="/v1/chat/completions",status="200"} 1.0',
        'quickset_requests_total{route="/v1/chat/completions",status="400"} 1.0',
        'quickset_requests_total{route="unknown",status="404"} 1.0',
        'quickset_tokens_total{kind="prompt"} 4.0',
        'quickset_tokens_total{kind="reply"} 4.0',
        'quickset_replies_total{finish_reason="stop",line="main",member="false"} 1.0',
        'quickset_turns_total{learn="true",purpose="main"} 1.0',
        'quickset_time_to_first_token_seconds_count{line="main",member="false"} 1.0',
        'quickset_inter_token_seconds_count{line="main",member="false"} 3.0',
        "quickset_queue_depth 0.0",
        "quickset_spool_dropped_total 0.0",
        f'quickset_serving_info{{base="{BASE}",line="main",version="{BASE}"}} 1.0',
    ):
        assert line in text, line


async def test_the_chat_page_is_served(api: Api) -> None:
    """The root is the chat page."""
    response = await api.client.get("/")
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/html")

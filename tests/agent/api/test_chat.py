"""The chat request: strict in what it understands, lenient in what it does not know."""

import itertools
import json
import math
from typing import Any

import pytest
from multidict import CIMultiDict

from agent.api.caller import Caller
from agent.api.chat.request import MAX_CHOICES, read_chat
from agent.api.chat.surface import ask_of
from agent.api.messages.request import read_message
from agent.api.responses.request import read_response
from agent.errors import InvalidError
from agent.settings import AgentSettings
from agent.turn.ask import Ask
from agent.turn.held.constraint import Constraint, TextForm
from streams.records import Message
from tests.agent.api.asking import caller, models

HELLO: dict[str, Any] = {"model": "quickset", "messages": [{"role": "user", "content": "Hello"}]}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def body(**extra: Any) -> bytes:
    return json.dumps(HELLO | extra).encode()


def test_the_smallest_request_is_enough() -> None:
    """A model and one message make a request."""
    request = read_chat(body())
    assert request.messages[0].record().content == "Hello"
    assert request.offered() is None


def test_unknown_parameters_are_ignored() -> None:
    """Clients send many parameters of their own; they change nothing."""
    assert read_chat(body(keep_alive="5m", num_ctx=4096)) == read_chat(body())


def test_null_means_not_given() -> None:
    """Clients spell their unset options as null."""
    unset = dict.fromkeys(
        ["stream", "n", "temperature", "top_p", "max_tokens", "seed", "stop", "tools", "logprobs",
         "tool_choice", "top_logprobs", "response_format", "user", "metadata", "store"]
    )  # fmt: skip
    assert read_chat(body(**unset)) == read_chat(body())


@pytest.mark.parametrize(
    ("extra", "param"),
    [
        ({"model": 7}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [3]}, "messages[0]"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
         "messages[0].content"),
        ({"messages": [{"role": "user", "content": "x", "tool_calls": [
            {"id": "1", "function": {"name": "f", "arguments": "{}"}}]}]},
         "messages[0].tool_calls"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "function": {
            "name": "f", "arguments": {}}}]}]},
         "messages[0].tool_calls[0].function.arguments"),
        ({"messages": [{"role": "assistant", "content": None, "function_call": {
            "name": "f", "arguments": "{}"}}]}, "messages[0].function_call"),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages[0].audio"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": []}, "stream_options"),
        ({"n": 0}, "n"),
        ({"n": True}, "n"),
        ({"n": MAX_CHOICES + 1}, "n"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": "0.5"}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"seed": -(2**63) - 1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"stop": ""}, "stop[0]"),
        ({"stop": ["a", 3]}, "stop[1]"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"logprobs": 1}, "logprobs"),
        ({"top_logprobs": 5}, "top_logprobs"),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs"),
        ({"top_k": -2}, "top_k"),
        ({"top_k": 2**31}, "top_k"),
        ({"min_p": 1.1}, "min_p"),
        ({"presence_penalty": -2.1}, "presence_penalty"),
        ({"frequency_penalty": "2"}, "frequency_penalty"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"repetition_penalty": 1e300}, "repetition_penalty"),
        ({"logit_bias": {"7": 101}}, "logit_bias[7]"),
        ({"logit_bias": {"Paris": 1}}, "logit_bias"),
        ({"logit_bias": {"-1": 1}}, "logit_bias"),
        ({"logit_bias": {"1" * 40: 1}}, "logit_bias"),
        ({"logit_bias": [7]}, "logit_bias"),
        ({"logit_bias": {str(at): 1 for at in range(1025)}}, "logit_bias"),
        ({"truncation": "oldest"}, "truncation"),
        ({"continue_final_message": True}, "continue_final_message"),
        ({"add_generation_prompt": False}, "add_generation_prompt"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0].function.name"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": "g"}}, "tools": [WEATHER]},
         "tool_choice"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
         "response_format"),
        ({"structured_outputs": {"regex": "a", "choice": ["a"]}}, "structured_outputs"),
        ({"structured_outputs": {"json": "x"}}, "structured_outputs"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
          "tools": [WEATHER]}, "tool_choice"),
        ({"response_format": "text"}, "response_format"),
        ({"response_format": {"type": "json_schema", "schema": {}, "strict": "no"}},
         "response_format"),
        ({"response_format": {"type": "json_schema", "schema": {}, "name": 5}}, "response_format"),
        ({"user": 3}, "user"),
        ({"metadata": "x"}, "metadata"),
        ({"store": "no"}, "store"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_by_name(extra: dict[str, Any], param: str) -> None:
    """A wrong type or value is a 400 that names the parameter, once and without a template."""
    with pytest.raises(InvalidError) as caught:
        read_chat(body(**extra))
    assert caught.value.param == param
    assert caught.value.message.startswith(param)
    assert "{" not in caught.value.message


@pytest.mark.parametrize("kind", ["array", ["string", "null"], 5])
def test_a_function_whose_arguments_could_be_no_object_is_refused(kind: Any) -> None:
    """A call of it could never be read, in any API."""
    schema = {"type": kind}
    chat = {"type": "function", "function": {"name": "f", "parameters": schema}}
    response = {"type": "function", "name": "f", "parameters": schema}
    message = {"name": "f", "input_schema": schema}
    for read, request in (
        (read_chat, HELLO | {"tools": [chat]}),
        (read_response, {"model": "quickset", "input": "Hello", "tools": [response]}),
        (read_message, HELLO | {"max_tokens": 9, "tools": [message]}),
    ):
        with pytest.raises(InvalidError, match="its type must be object") as caught:
            read(json.dumps(request).encode())
        assert str(caught.value.param).startswith("tools[0].")


@pytest.mark.parametrize(
    "schema", [None, {}, {"type": ["object", "null"]}, {"$ref": "#/$defs/a", "$defs": {"a": {}}}]
)
def test_a_function_need_not_say_that_its_arguments_are_an_object(schema: Any) -> None:
    """Schemas without a type are what many clients send."""
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    (read,) = read_chat(body(tools=[tool])).tools or []
    assert read.function.parameters == schema


def test_missing_parameters_are_named() -> None:
    """A request without messages says so, with OpenAI's code."""
    with pytest.raises(InvalidError) as caught:
        read_chat(b'{"model": "quickset"}')
    assert (caught.value.param, caught.value.code) == ("messages", "missing_required_parameter")


def test_text_parts_are_joined() -> None:
    """Content in parts is one text."""
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    request = read_chat(body(messages=[{"role": "user", "content": parts}]))
    assert request.messages[0].content == "a\nb"


def test_a_client_may_send_its_history_back_as_it_came() -> None:
    """An assistant message with null content, tool calls and fields of OpenAI's own is read."""
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    history = [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "refusal": None, "annotations": [],
         "tool_calls": [call | {"index": 0}]},
        {"role": "tool", "content": "sunny", "tool_call_id": "c1"},
    ]  # fmt: skip
    records = [m.record() for m in read_chat(body(messages=history)).messages]
    assert records[2].tool_calls == [call]
    assert records[3].tool_call_id == "c1"


def choose(*names: str, mode: str = "auto") -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def test_a_refusal_that_is_sent_back_is_what_the_assistant_said() -> None:
    """OpenAI's clients hold it beside a content of null; its words would else be lost."""
    said: Any = {"role": "assistant", "content": None, "refusal": "I cannot."}
    assert read_chat(body(messages=[said])).messages[0].record().content == "I cannot."
    said["content"] = "Yes."
    assert read_chat(body(messages=[said])).messages[0].record().content == "Yes."


@pytest.mark.parametrize(
    ("extra", "kind"),
    [
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "image_url"),
        ({"response_format": {"type": "grammar"}}, "grammar"),
    ],
)
def test_a_part_that_is_refused_is_called_by_its_type(extra: Any, kind: str) -> None:
    """A client that sends many kinds learns which of them cannot be had."""
    with pytest.raises(InvalidError, match=f"it is '{kind}'"):
        read_chat(body(**extra))


def test_tool_choice_decides_what_the_model_is_shown() -> None:
    """auto and required show every tool, names show those, none shows no tool."""
    other = {"type": "function", "function": {"name": "clock"}}
    named = {"type": "function", "function": {"name": "clock"}}
    tools = [WEATHER, other]
    assert len(read_chat(body(tools=tools)).offered() or []) == 2
    assert len(read_chat(body(tools=tools, tool_choice="required")).offered() or []) == 2
    assert read_chat(body(tools=tools, tool_choice=named)).offered() == [other]
    assert read_chat(body(tools=tools, tool_choice=choose("clock"))).offered() == [other]
    assert read_chat(body(tools=tools, tool_choice="none")).offered() is None


@pytest.mark.parametrize(
    ("extra", "constraint"),
    [
        ({}, None),
        ({"tools": [WEATHER]}, None),
        ({"tools": [WEATHER], "tool_choice": choose("weather")}, None),
        ({"tools": [WEATHER], "tool_choice": "required"},
         Constraint("tool_choice", calls=("weather",))),
        ({"tools": [WEATHER], "tool_choice": choose("weather", mode="required")},
         Constraint("tool_choice", calls=("weather",))),
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}},
         Constraint("response_format", text=TextForm("json_object"))),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "null"}}}},
         Constraint("response_format", text=TextForm("json_schema", {"type": "null"}))),
        ({"structured_outputs": {"regex": "a+"}},
         Constraint("structured_outputs", text=TextForm("regex", "a+"))),
        ({"structured_outputs": {"choice": ["a", "b"]}},
         Constraint("structured_outputs", text=TextForm("choice", ("a", "b")))),
    ],
)  # fmt: skip
def test_what_a_reply_must_keep_to_is_read(
    extra: dict[str, Any], constraint: Constraint | None
) -> None:
    """What has to be enforced in the sampler stands in the ask, under the client's own name."""
    assert asked(extra).constraint == constraint


def test_the_newer_name_of_the_limit_wins() -> None:
    """max_completion_tokens is what OpenAI asks for now; max_tokens is what clients send."""
    assert read_chat(body(max_tokens=5, max_completion_tokens=7)).reply_tokens() == 7
    assert read_chat(body(max_tokens=5)).reply_tokens() == 5


def asked(extra: dict[str, Any] | None = None, **headers: str) -> Ask:
    """What the smallest request with some more parameters and headers asks."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    settings = AgentSettings(context_tokens=64, default_temperature=0.3, default_max_tokens=5)
    draw_seed = itertools.count(100).__next__
    caller = Caller("ann", CIMultiDict(given), settings, models(), draw_seed=draw_seed)
    return ask_of(read_chat(body(**extra or {})), caller)


def test_an_ask_holds_who_asks_for_what() -> None:
    """Principal, session, line, purpose, learning, messages and tools are in one value."""
    ask = asked({"tools": [WEATHER], "parallel_tool_calls": False, "store": False},
                X_Session_Id="s1", X_Turn_Type="side")  # fmt: skip
    assert (ask.principal, ask.line, ask.model) == ("ann", "main", "quickset")
    assert (ask.purpose, ask.learn, ask.parallel_calls) == ("side", False, False)
    assert ask.messages == [Message(role="user", content="Hello")]
    assert ask.tools == [WEATHER]
    assert ask.session != asked().session
    assert ask.prompt_token_ids == []


@pytest.mark.parametrize(
    ("said", "penalty"),
    [({}, 0.3), ({"temperature": 0}, 0), ({"frequency_penalty": 0}, 0), ({"tools": [WEATHER]}, 0),
     ({"response_format": {"type": "json_object"}}, 0),
     ({"temperature": 1, "frequency_penalty": -1}, -1)],
)  # fmt: skip
def test_plain_text_alone_is_kept_from_going_round_in_circles(
    said: dict[str, Any], penalty: float
) -> None:
    """Calls and JSON repeat their marks; who names a temperature means what comes of it."""
    assert asked(said).samplings[0].frequency_penalty == penalty


def test_text_that_may_come_with_calls_of_our_own_tools_is_not_plain() -> None:
    """What the agent calls itself is offered later, where the request forbids no tools."""
    sent = CIMultiDict[str]()
    caller = Caller("ann", sent, AgentSettings(), models(), servers=["weather"])
    penalties = [
        ask_of(read_chat(body(**said)), caller).samplings[0].frequency_penalty
        for said in ({}, {"tool_choice": "none"})
    ]
    assert penalties == [0, 0.3]


@pytest.mark.parametrize(
    ("name", "said", "taken"),
    [("temperature", "hot", None), ("temperature", 2.5, None), ("temperature", math.nan, None),
     ("top_p", 0, None), ("top_k", 1.5, None), ("top_k", -2, None), ("top_k", math.inf, None),
     ("min_p", [1], None), ("repetition_penalty", 0, None), ("new", 1, None),
     ("top_k", -1, -1), ("top_k", 50.0, 50), ("temperature", 0.6, 0.6)],
)  # fmt: skip
def test_a_suggestion_that_no_reply_can_be_sampled_by_is_left_out(
    caplog: pytest.LogCaptureFixture, name: str, said: object, taken: float | None
) -> None:
    """It is advice of the model's folder, and the log says that it is not taken."""
    unset = AgentSettings()
    settings = unset.sampling_as({name: said})
    changed = {} if taken is None else {f"default_{name}": taken, "default_frequency_penalty": 0}
    assert settings.model_dump() == unset.model_dump() | changed
    assert (f"suggests {name} " in caplog.text) == (taken is None)


def test_what_changes_sampling_is_in_it() -> None:
    """Every parameter of sampling, by the client's names; -1 means all tokens, as for vLLM."""
    given = {"top_k": 40, "min_p": 0.05, "presence_penalty": 0.5, "frequency_penalty": -0.5,
             "repetition_penalty": 1.1}  # fmt: skip
    (sampling,) = asked(given | {"logit_bias": {"7": -100, "12": 2.5}}).samplings
    assert sampling.model_dump(include=set(given)) == given
    assert sampling.logit_bias == {7: -100, 12: 2.5}
    assert asked({"top_k": -1}).samplings[0].top_k == 0
    some = {"max_tokens", "seed", "temperature", "top_p", "frequency_penalty"}
    plain = asked().samplings[0].model_dump(exclude=some)
    assert not any(value for name, value in plain.items() if name != "repetition_penalty")
    assert plain["repetition_penalty"] == 1


def test_a_last_message_of_the_assistant_goes_on_when_asked() -> None:
    """It is history unless continue_final_message says otherwise, by vLLM's rules."""
    begun = [*HELLO["messages"], {"role": "assistant", "content": "The answer"}]
    assert not asked({"messages": begun}).continues
    assert asked({"messages": begun, "continue_final_message": True}).continues
    both = {"continue_final_message": True, "add_generation_prompt": False}
    assert asked({"messages": begun} | both).continues
    called = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    for extra, param in [
        (both | {"add_generation_prompt": True, "messages": begun}, "add_generation_prompt"),
        (both | {"messages": HELLO["messages"]}, "continue_final_message"),
        (both | {"messages": [{"role": "assistant", "tool_calls": [called]}]},
         "continue_final_message"),
        ({"add_generation_prompt": False, "messages": begun}, "add_generation_prompt"),
    ]:  # fmt: skip
        with pytest.raises(InvalidError) as caught:
            read_chat(body(**extra))
        assert caught.value.param == param


def test_truncation_is_the_requests_or_the_settings() -> None:
    """What the request says counts before the setting."""
    assert asked().truncation == "auto"
    assert asked({"truncation": "disabled"}).truncation == "disabled"
    never = caller(truncation="disabled")
    assert ask_of(read_chat(body()), never).truncation == "disabled"
    assert ask_of(read_chat(body(truncation="auto")), never).truncation == "auto"


def test_the_likeliest_tokens_go_with_logprobs() -> None:
    """Up to 20 of them."""
    assert asked({"logprobs": True, "top_logprobs": 20}).top_logprobs == 20
    assert asked({"logprobs": True}).top_logprobs == 0
    for none in ({}, {"logprobs": False}, {"logprobs": None}):
        assert asked({"top_logprobs": 0, **none}).top_logprobs == 0


@pytest.mark.parametrize("kind", ["text", "refusal"])
@pytest.mark.parametrize("said", [{}, {"text": None, "refusal": None}, {"text": 3, "refusal": 3}])
def test_a_part_without_its_text_is_told_what_it_needs(kind: str, said: dict[str, Any]) -> None:
    """And not that a text is no text."""
    content = [{"type": "text", "text": "Hi"}, {"type": kind} | said]
    for read, given in (
        (read_chat, {"messages": [{"role": "user", "content": content}]}),
        (read_response, {"input": [{"role": "user", "content": content}]}),
    ):
        with pytest.raises(InvalidError, match=f"part 1 needs {kind}"):
            read(json.dumps({"model": "quickset"} | given).encode())


def test_each_choice_has_its_sampling() -> None:
    """What the request leaves out comes from the settings; a seed counts up, or is drawn."""
    first, second = asked({"n": 2, "seed": 2**63 - 1, "stop": "END"}).samplings
    assert (first.temperature, first.max_tokens, first.stop) == (0.3, 5, ["END"])
    assert (first.seed, second.seed) == (2**63 - 1, -(2**63))
    drawn = asked({"n": 2, "temperature": 0, "max_tokens": 64}).samplings
    assert [(each.seed, each.temperature, each.max_tokens) for each in drawn] == [
        (100, 0, 64), (101, 0, 64),
    ]  # fmt: skip

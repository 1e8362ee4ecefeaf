"""Responses: OpenAI's shapes, whole and streamed, kept and gone on from; failures in words."""

import hashlib
import json
from typing import Any

import pytest

from agent.api.responses.request import read_response
from agent.api.responses.surface import ask_of
from agent.constrain.open import open_compiler
from agent.errors import InvalidError
from agent.turn.held.constraint import Constraint, TextForm
from streams.model.open import BaseModel
from streams.records import Deletion, Message
from tests.agent.api.asking import caller
from tests.agent.conftest import Api, StartApi, events_of, response_told, shown
from tests.agent.fakes import BASE
from tests.agent.test_server import error_of

PATH = "/v1/responses"
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
CALL = [
    "Let me", " see.\n", "<tool", '_call>{"name": "weather", ', '"arguments": {"city": "Oslo"}}',
    "</tool_call>", "\n", '<tool_call>{"name": "weather", "arguments": {}}</tool_call>', " \n",
    "Done.",
]  # fmt: skip


def body(said: Any = "Hi there", **extra: Any) -> dict[str, Any]:
    return {"model": "quickset", "input": said} | extra


def message(role: str, content: Any, **extra: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content} | extra


def call(name: str = "c1") -> dict[str, Any]:
    return {"type": "function_call", "call_id": name, "name": "weather", "arguments": "{}"}


def output(name: str = "c1", said: Any = "sunny") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": name, "output": said}


async def created(api: Api, said: Any = "Hi there", **extra: Any) -> dict[str, Any]:
    """Create a response, and return it."""
    answer = await api.post(PATH, body(said, **extra))
    told: dict[str, Any] = await answer.json()
    assert answer.status == 200, told
    return told


async def test_what_was_left_out_is_told(api: Api) -> None:
    """The oldest exchanges go by default, and header and usage say so; disabled refuses."""
    talk = [{"role": role, "content": "w " * words}
            for role, words in (("user", 40), ("assistant", 9), ("user", 20))]  # fmt: skip
    response = await api.post(PATH, {"model": "quickset", "input": talk})
    told = await response.json()
    assert (response.headers["X-Quickset-Truncated"], told["truncation"]) == ("2", "auto")
    assert told["usage"]["input_tokens_details"]["truncated_tokens"] == 49
    refused = {"model": "quickset", "input": talk, "truncation": "disabled"}
    assert (await (await api.post(PATH, refused)).json())["error"]["param"] == "input"


async def test_a_whole_response(api: Api) -> None:
    """One message, with everything that a response says of its request and of its cost."""
    asked = {"instructions": "Be kind.", "temperature": 0.2, "metadata": {"a": "b"},
             "max_output_tokens": 20, "user": "u", "tools": [WEATHER], "store": True}  # fmt: skip
    told = await created(api, **asked)
    assert (told["object"], told["status"], told["model"]) == ("response", "completed", "quickset")
    (item,) = told["output"]
    assert (item["type"], item["role"], item["status"]) == ("message", "assistant", "completed")
    assert item["content"] == [
        {"type": "output_text", "text": "Hello, world!", "annotations": [], "logprobs": []}
    ]
    for name in ("instructions", "temperature", "metadata", "max_output_tokens", "user", "store"):
        assert told[name] == asked[name]
    assert told["tools"] == [WEATHER | {"description": None, "strict": False}]
    assert (told["tool_choice"], told["truncation"], told["error"]) == ("auto", "auto", None)
    assert (told["usage"]["input_tokens"], told["usage"]["output_tokens"]) == (6, 4)
    assert told["created_at"] <= told["completed_at"]
    assert told["system_fingerprint"] == BASE
    (turn,) = api.turns()
    assert turn.id == told["id"]
    assert [m.role for m in turn.messages] == ["system", "user"]
    rated = await api.client.put(f"/v1/feedback/{told['id']}", json={"score": 1})
    assert rated.status == 200


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (None, {"type": "text"}),
        ({"type": "json_object"}, {"type": "json_object"}),
        ({"type": "json_schema", "name": "x", "schema": {"type": "object"}, "strict": True},
         {"type": "json_schema", "name": "x", "description": None, "strict": True,
          "schema": {"type": "object"}}),
    ],
)  # fmt: skip
async def test_a_response_says_which_form_was_asked_for(
    start_api: StartApi, tiny_base: BaseModel, asked: Any, told: Any
) -> None:
    """As the client spelt it, with what it left out; and so it does when it is asked for again."""
    api = await start_api(compiler=open_compiler(tiny_base))
    made = await created(api, text={"format": asked})
    assert made["text"] == {"format": told, "verbosity": "medium"}
    assert (await shown(api, made["id"]))["text"] == made["text"]


async def test_a_streamed_response(api: Api) -> None:
    """The events to the letter: in order, numbered, each with the ids of what it is about."""
    told = await events_of(await api.post(PATH, body(stream=True)))
    assert all(name == data["type"] for name, data in told)
    assert [data["sequence_number"] for _, data in told] == list(range(len(told)))
    assert [name.removeprefix("response.") for name, _ in told] == [
        "created", "in_progress", "output_item.added", "content_part.added",
        *["output_text.delta"] * 4, "output_text.done", "content_part.done", "output_item.done",
        "completed",
    ]  # fmt: skip
    begun, ended = told[0][1]["response"], told[-1][1]["response"]
    assert (begun["status"], begun["output"], begun["usage"]) == ("in_progress", [], None)
    (item,) = ended["output"]
    inside = [data for name, data in told if "item_id" in data]
    assert {data["item_id"] for data in inside} == {item["id"]}
    assert {(data["output_index"], data["content_index"]) for data in inside} == {(0, 0)}
    deltas = [data["delta"] for name, data in told if name == "response.output_text.delta"]
    assert "".join(deltas) == item["content"][0]["text"] == "Hello, world!"
    assert await shown(api, ended["id"]) == ended


@pytest.mark.parametrize("stream", [False, True])
async def test_calls_are_items(start_api: StartApi, stream: bool) -> None:
    """Text, then each call, then text: items in order, found again as they were told."""
    api: Api = await start_api(script=CALL)
    answer = await api.post(PATH, body(tools=[WEATHER], stream=stream))
    if stream:
        told = await events_of(answer)
        response = told[-1][1]["response"]
        items = [d["item"] for n, d in told if n == "response.output_item.done"]
        assert items == response["output"]
        added = [d for n, d in told if n == "response.output_item.added"]
        assert [d["output_index"] for d in added] == [0, 1, 2, 3]
        arguments = [d for n, d in told if n == "response.function_call_arguments.done"]
        assert [d["arguments"] for d in arguments] == ['{"city": "Oslo"}', "{}"]
    else:
        response = await answer.json()
    kinds = [item["type"] for item in response["output"]]
    assert kinds == ["message", "function_call", "function_call", "message"]
    assert response["output"][0]["content"][0]["text"] == "Let me see.\n"
    assert response["output"][3]["content"][0]["text"] == "\n \nDone."
    first, second = response["output"][1:3]
    assert (first["arguments"], second["arguments"]) == ('{"city": "Oslo"}', "{}")
    assert len({item["id"] for item in response["output"]}) == 4
    assert await shown(api, response["id"]) == response


async def test_a_conversation_goes_on_from_its_id(start_api: StartApi) -> None:
    """What was said before is read again, its instructions are not; the session is the same."""
    api: Api = await start_api(script=CALL)
    first = await created(api, "Weather?", instructions="Be kind.", tools=[WEATHER])
    outputs = [output(item["call_id"]) for item in first["output"] if "call_id" in item]
    second = await created(api, [*outputs, message("user", "Thanks")], instructions="Be brief.",
                           previous_response_id=first["id"], tools=[WEATHER])  # fmt: skip
    assert second["previous_response_id"] == first["id"]
    before, turn = api.turns()
    assert turn.messages == [
        Message(role="system", content="Be brief."),
        Message(role="user", content="Weather?"),
        before.reply,
        *(Message(role="tool", content="sunny", tool_call_id=o["call_id"]) for o in outputs),
        Message(role="user", content="Thanks"),
    ]
    assert (turn.session, turn.follows) == (before.session, before.id)
    items = (await shown(api, second["id"], "/input_items?order=asc"))["data"]
    assert [item["type"] for item in items] == [
        "message", "message", "function_call", "function_call", *["function_call_output"] * 2,
        "message",
    ]  # fmt: skip
    assert items[-1]["content"] == [{"type": "input_text", "text": "Thanks"}]


@pytest.mark.parametrize("nothing", [{}, {"input": None}, {"input": []}])
async def test_nothing_new_goes_on_from_a_response(api: Api, nothing: dict[str, Any]) -> None:
    """As OpenAI has it, input may be left out where there is something to go on from."""
    first = await created(api)
    asked = {"model": "quickset", "previous_response_id": first["id"]} | nothing
    assert (await api.post(PATH, asked)).status == 200
    before, turn = api.turns()
    assert turn.messages == [*before.messages, before.reply]
    error = await error_of(await api.post(PATH, {"model": "quickset"} | nothing), 400)
    assert (error["param"], error["message"]) == ("input", "input: there is nothing to answer")


async def test_items_are_referred_to_by_id(start_api: StartApi) -> None:
    """A client may send a reply back as references, and what it sent itself, too."""
    api: Api = await start_api(script=CALL)
    first = await created(api, "Weather?", tools=[WEATHER])
    asked = (await shown(api, first["id"], "/input_items"))["data"][0]["id"]
    references = [{"type": "item_reference", "id": item["id"]} for item in first["output"]]
    outputs = [output(item["call_id"]) for item in first["output"] if "call_id" in item]
    await created(api, [{"id": asked}, *references, *outputs], store=False)
    before, turn = api.turns()
    assert turn.messages[:2] == [Message(role="user", content="Weather?"), before.reply]
    for wrong in ("msg_1", references[0]["id"][:-1] + "9", "msg_" + "0" * 64 + "_0"):
        error = await error_of(await api.post(PATH, body([{"id": wrong}])), 404)
        assert error["code"] in ("item_not_found", "response_not_found")


async def test_input_items_come_in_pages(api: Api) -> None:
    """Newest first unless asked otherwise, and every item exactly once."""
    said = [message("user", str(n)) for n in range(5)]
    response = await created(api, said)
    seen: list[str] = []
    after = ""
    while True:
        page = await shown(api, response["id"], f"/input_items?limit=2{after}")
        seen += [item["content"][0]["text"] for item in page["data"]]
        ids = [item["id"] for item in page["data"]]
        assert (page["first_id"], page["last_id"]) == (ids[0], ids[-1])
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
    assert seen == ["4", "3", "2", "1", "0"]
    for wrong in ("limit=0", "limit=x", "order=up", "after=msg_1", "before=msg_1"):
        path = f"{PATH}/{response['id']}/input_items?{wrong}"
        error = await error_of(await api.client.get(path), 400)
        assert error["param"] == wrong.partition("=")[0]


async def test_what_is_not_kept_is_not_shown_in_silence(api: Api) -> None:
    """Log-probabilities are told with the reply alone, however a client names a list."""
    logprobs = "message.output_text.logprobs"
    id = (await created(api, include=[logprobs]))["id"]
    for path in (id, f"{id}/input_items"):
        for names in ("include", "include[]", "include[0]"):
            query = f"{names}=reasoning.encrypted_content&{names}="
            told = await api.client.get(f"{PATH}/{path}?{query}{logprobs}")
            assert (await error_of(told, 400))["param"] == "include"
            told = await api.client.get(f"{PATH}/{path}?{query}code_interpreter_call.outputs")
            assert told.status == 200


async def test_what_is_not_stored_is_not_found(api: Api) -> None:
    """store: false leaves a turn that nothing is learned from, and that cannot be asked for."""
    response = await created(api, store=False)
    assert [turn.learn for turn in api.turns()] == [False]
    for path in ("", "/input_items"):
        await error_of(await api.client.get(f"{PATH}/{response['id']}{path}"), 404)
    answer = await api.post(PATH, body(previous_response_id=response["id"]))
    error = await error_of(answer, 400)
    assert (error["param"], error["code"]) == (
        "previous_response_id", "previous_response_not_found",
    )  # fmt: skip
    chat = (await (await api.chat()).json())["id"]
    await error_of(await api.client.get(f"{PATH}/{chat}"), 404)


async def test_a_response_is_its_principals_own(start_api: StartApi) -> None:
    """Others get the same answer as for an invented id, whatever they try."""
    keys = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("ann", "bob")}
    api: Api = await start_api(keys=keys)
    api.headers = {"Authorization": "Bearer ann"}
    response = await created(api)
    path = f"{PATH}/{response['id']}"
    bob = {"Authorization": "Bearer bob"}
    for method, more in (("GET", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")):
        await error_of(await api.client.request(method, path + more, headers=bob), 404)
        await error_of(await api.client.request(method, path + more), 401)
    api.headers = bob
    await error_of(await api.post(PATH, body(previous_response_id=response["id"])), 400)
    await error_of(await api.post(PATH, body([{"id": response["output"][0]["id"]}])), 404)
    api.headers = {"Authorization": "Bearer ann"}
    assert (await shown(api, response["id"]))["id"] == response["id"]


async def test_a_deleted_response_is_gone(api: Api) -> None:
    """It is not found any more, and the deletion is recorded for all who read the log."""
    response = await created(api)
    answer = await api.client.delete(f"{PATH}/{response['id']}")
    assert await answer.json() == {"id": response["id"], "object": "response", "deleted": True}
    await error_of(await api.client.get(f"{PATH}/{response['id']}"), 404)
    await error_of(await api.client.delete(f"{PATH}/{response['id']}"), 404)
    (deletion,) = [record for record in api.records() if isinstance(record, Deletion)]
    assert (deletion.turn_id, deletion.session) == (response["id"], api.turns()[0].session)


async def test_a_deletion_that_cannot_be_kept_is_not_made(api: Api) -> None:
    """When the disk refuses it the client is told, and the response is still there."""
    response = await created(api)
    api.spool.keeps = False
    await error_of(await api.client.delete(f"{PATH}/{response['id']}"), 503)
    assert (await shown(api, response["id"]))["status"] == "completed"


@pytest.mark.parametrize("tier", ["auto", "scale", "fast", "ultrafast", "one to come"])
async def test_every_tier_is_the_one_that_there_is(api: Api, tier: str) -> None:
    """Clients are set up for OpenAI's, of which there will be more."""
    assert (await created(api, service_tier=tier))["service_tier"] == "default"


async def test_nothing_runs_in_the_background(api: Api) -> None:
    """Cancelling a response is refused with what to do instead."""
    response = await created(api)
    answer = await api.client.post(f"{PATH}/{response['id']}/cancel")
    assert (await error_of(answer, 400))["code"] == "not_in_background"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_response_that_is_cut_says_so(api: Api, stream: bool) -> None:
    """It is incomplete, with the reason, and so is its last item."""
    answer = await api.post(PATH, body(max_output_tokens=2, stream=stream))
    if stream:
        *_, (name, data) = await events_of(answer)
        assert name == "response.incomplete"
        told = data["response"]
    else:
        told = await answer.json()
    assert (told["status"], told["completed_at"]) == ("incomplete", None)
    assert told["incomplete_details"] == {"reason": "max_output_tokens"}
    assert told["output"][-1]["status"] == "incomplete"
    assert await shown(api, told["id"]) == told


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_whose_end_alone_is_cut_stands(start_api: StartApi, stream: bool) -> None:
    """Its arguments are whole: it is there and complete, and so is the text before it."""
    script = [CALL[0], "".join(CALL[2:6]), "".join(CALL[2:5]), CALL[5]]
    api: Api = await start_api(script=script)
    answer = await api.post(PATH, body(tools=[WEATHER], max_output_tokens=3, stream=stream))
    told = await response_told(answer, stream=stream)
    assert told["status"] == "incomplete"
    kinds = [(item["type"], item["status"]) for item in told["output"]]
    assert kinds == [("message", "completed"), *[("function_call", "completed")] * 2]
    assert await shown(api, told["id"]) == told


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("said", ["", "Let me see. "])
async def test_a_call_that_is_cut_is_incomplete(
    start_api: StartApi, tiny_base: BaseModel, stream: bool, said: str
) -> None:
    """As OpenAI has it: the items that were told are the response's, and are kept."""
    before = [said] if said else []
    script = [*before, '<tool_call>{"name": "weather", "arguments": {"city": "Os', "lo", '"}}']
    api: Api = await start_api(script=script, compiler=open_compiler(tiny_base))
    asked = body(tools=[WEATHER], max_output_tokens=len(script) - 1, stream=stream)
    answer = await api.post(PATH, asked)
    told = await response_told(answer, stream=stream)
    assert told["status"] == "incomplete"
    kinds = [(item["type"], item["status"]) for item in told["output"]]
    texts = [("message", "completed")] if said else []
    assert kinds == [*texts, ("function_call", "incomplete")]
    assert told["output"][-1]["arguments"] == '{"city": "Oslo'
    assert await shown(api, told["id"]) == told


async def test_a_call_that_was_cut_is_in_no_prompt(
    start_api: StartApi, tiny_base: BaseModel
) -> None:
    """Gone on from by name, by its items, or by references to them: it was never made."""
    script = ["Let me see. ", '<tool_call>{"name": "weather", "arguments": {"city": "Os', "lo"]
    api: Api = await start_api(script=script, compiler=open_compiler(tiny_base))
    first = await created(api, "Weather?", tools=[WEATHER], max_output_tokens=2)
    asked, more = message("user", "Weather?"), message("user", "Go on")
    references = [{"type": "item_reference", "id": item["id"]} for item in first["output"]]
    await created(api, [more], previous_response_id=first["id"])
    await created(api, [asked, *first["output"], more])
    await created(api, [asked, *references, more])
    _, *turns = api.turns()
    assert len(turns) == 3
    for turn in turns:
        said = [(each.role, each.content, each.tool_calls) for each in turn.messages]
        assert said[1:] == [("assistant", "Let me see. ", None), ("user", "Go on", None)]
    answered = [asked, *first["output"], output(first["output"][-1]["call_id"]), more]
    await created(api, answered)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_reply_that_says_nothing_is_an_empty_message(
    start_api: StartApi, stream: bool
) -> None:
    """Clients look into the first item of the output, so there is one."""
    api: Api = await start_api(script=[" ", "\n"])
    answer = await api.post(PATH, body(stream=stream))
    told = (await events_of(answer))[-1][1]["response"] if stream else await answer.json()
    assert [item["content"][0]["text"] for item in told["output"]] == [""]


@pytest.mark.parametrize("script", [["a", RuntimeError("boom")], ["⏸", RuntimeError("boom")]])
async def test_a_failure_in_mid_stream_is_a_failed_response(
    start_api: StartApi, script: list[Any]
) -> None:
    """The reader is told which response failed, however early; what was said is kept as failed."""
    api: Api = await start_api(script=script, keep_alive_s=0.01)
    answer = await api.post(PATH, body(stream=True))
    if script[0] == "⏸":
        await answer.content.readany()
        api.engine.streams[0].gate.set()
    text = (await answer.text()).replace(": still here\n\n", "")
    told = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    assert [data["type"] for data in told[:2]] == ["response.created", "response.in_progress"]
    assert [data["sequence_number"] for data in told] == list(range(len(told)))
    assert told[-1]["type"] == "response.failed"
    assert told[-1]["response"]["error"]["code"] == "server_error"
    assert told[-1]["response"]["status"] == "failed"
    if script[0] != "⏸":  # of which no token was sampled, nothing is kept
        kept = await shown(api, told[-1]["response"]["id"])
        same = ("status", "error", "usage", "completed_at", "incomplete_details")
        assert [kept[name] for name in same] == [told[-1]["response"][name] for name in same]
        assert [item["content"][0]["text"] for item in kept["output"]] == ["a"]
        assert told[-1]["response"]["output"] == kept["output"]
    else:
        assert told[-1]["response"]["output"] == []


@pytest.mark.parametrize("stream", [False, True])
async def test_logprobs_are_included_when_asked_for(api: Api, stream: bool) -> None:
    """Each token of the text, with its log-probability."""
    answer = await api.post(PATH, body(include=["message.output_text.logprobs"], stream=stream))
    if stream:
        told = await events_of(answer)
        deltas = [d["logprobs"] for n, d in told if n == "response.output_text.delta"]
        assert [token["token"] for each in deltas for token in each] == list(api.engine.script)
        content = told[-1][1]["response"]["output"][0]["content"][0]
    else:
        content = (await answer.json())["output"][0]["content"][0]
    assert [token["token"] for token in content["logprobs"]] == list(api.engine.script)
    assert {token["logprob"] for token in content["logprobs"]} == {-0.5}


@pytest.mark.parametrize("stream", [False, True])
async def test_logprobs_are_told_beside_calls(start_api: StartApi, stream: bool) -> None:
    """Each text has those of its own tokens, whole and streamed alike."""
    api: Api = await start_api(script=[*CALL[:6], "Do", "ne."])
    asked = body(tools=[WEATHER], include=["message.output_text.logprobs"], stream=stream)
    answer = await api.post(PATH, asked)
    told = (await events_of(answer))[-1][1]["response"] if stream else await answer.json()
    texts = [item["content"][0] for item in told["output"] if item["type"] == "message"]
    tokens = [[token["token"] for token in text["logprobs"]] for text in texts]
    assert tokens == [["Let me", " see.\n"], ["Do", "ne."]]


def test_items_become_messages() -> None:
    """A reply's items are one message again; results stand alone; reasoning is left out."""
    items = [
        message("developer", "Be kind."),
        {"role": "user", "content": [{"type": "input_text", "text": "a"},
                                     {"type": "input_text", "text": "b"}]},
        {"type": "reasoning", "summary": [], "encrypted_content": "x"},
        message("assistant", [{"type": "output_text", "text": "Let "},
                              {"type": "output_text", "text": "me."}], id="msg_1", status="x"),
        call("c1"), call("c2"),
        output("c1", [{"type": "input_text", "text": "x"}]), output("c2"),
        message("assistant", "I should.", phase="commentary"),
        message("assistant", "Four.", phase="final_answer"),
        message("user", "Thanks"),
    ]  # fmt: skip
    checked = read_response(json.dumps(body(items)).encode())
    made = ask_of(checked, checked.input, None, caller())
    functions = [
        {"id": n, "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        for n in ("c1", "c2")
    ]
    assert made.messages == [
        Message(role="developer", content="Be kind."),
        Message(role="user", content="a\nb"),
        Message(role="assistant", content="Let me.", tool_calls=functions),
        Message(role="tool", content="x", tool_call_id="c1"),
        Message(role="tool", content="sunny", tool_call_id="c2"),
        Message(role="assistant", content="I should.\nFour."),
        Message(role="user", content="Thanks"),
    ]


@pytest.mark.parametrize(
    ("extra", "constraint"),
    [
        ({"tools": [WEATHER], "tool_choice": "auto"}, None),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "weather"}},
         Constraint("tool_choice", calls=("weather",))),
        ({"tools": [WEATHER], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [
            {"type": "function", "name": "weather"}]}}, None),
        ({"text": {"format": {"type": "text"}}}, None),
        ({"text": {"format": {"type": "json_schema", "name": "x", "schema": {}}}},
         Constraint("text.format", text=TextForm("json_schema", {}))),
    ],
)  # fmt: skip
def test_what_a_reply_must_keep_to_is_read(
    extra: dict[str, Any], constraint: Constraint | None
) -> None:
    """What has to be enforced in the sampler stands in the ask, under the client's own name."""
    checked = read_response(json.dumps(body(**extra)).encode())
    assert ask_of(checked, checked.input, None, caller()).constraint == constraint


BAD: list[tuple[dict[str, Any], str]] = [
    ({"input": None}, "input"),
    ({"input": []}, "input"),
    ({"input": 3}, "input"),
    ({"input": [3]}, "input[0]"),
    ({"input": [{}]}, "input[0]"),
    ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
    ({"input": [{"role": "user"}]}, "input[0].content"),
    ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
     "input[0].content"),
    ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content"),
    ({"input": [{"type": "web_search_call", "id": "w"}]}, "input[0]"),
    ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id"),
    ({"input": [{"type": "function_call_output", "call_id": "c", "output": {}}]},
     "input[0].output"),
    ({"model": None}, "model"),
    ({"instructions": ["x"]}, "instructions"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"temperature": 3}, "temperature"),
    ({"top_logprobs": 21}, "top_logprobs"),
    ({"truncation": "some"}, "truncation"),
    ({"metadata": {"a": 3}}, "metadata.a"),
    ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
    ({"metadata": {"a": "x" * 513}}, "metadata.a"),
    ({"include": ["everything"]}, "include[0]"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ({"tools": [{"type": "mcp", "server_url": "x"}]}, "tools[0].server_label"),
    ({"tools": [{"type": "function"}]}, "tools[0].name"),
    ({"tool_choice": {"type": "web_search"}}, "tool_choice"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "x"}}, "tool_choice"),
    ({"text": {"format": {"type": "xml"}}}, "text.format"),
    ({"text": {"verbosity": "low"}}, "text.verbosity"),
    ({"reasoning": {"effort": "low"}}, "reasoning.effort"),
    ({"reasoning": {"summary": "auto"}}, "reasoning.summary"),
    ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
    ({"context_management": [{"type": "compaction"}]}, "context_management"),
    ({"moderation": {"model": "x"}}, "moderation"),
    ({"background": True}, "background"),
    ({"conversation": "conv_1"}, "conversation"),
    ({"prompt": {"id": "p"}}, "prompt"),
    ({"previous_response_id": 3}, "previous_response_id"),
    ({"service_tier": 3}, "service_tier"),
]  # fmt: skip


@pytest.mark.parametrize(("extra", "param"), BAD, ids=[str(number) for number in range(len(BAD))])
def test_what_cannot_be_meant_is_refused_by_name(extra: dict[str, Any], param: str) -> None:
    """A wrong item, and what this server has not, names its parameter as the client spells it."""
    with pytest.raises(InvalidError) as caught:
        read_response(json.dumps(body() | extra).encode())
    assert caught.value.param == param
    assert caught.value.message.startswith(param)


@pytest.mark.parametrize(
    "said",
    [[output()], [message("user", "x"), call()], [call(), output(), output()],
     [output(), call()], [call(), call(), output()], [call(), call(), output(), output()]],
)  # fmt: skip
async def test_unpaired_calls_are_refused(api: Api, said: list[Any]) -> None:
    """A result of no call and a call without its result are a 400 that names the call."""
    error = await error_of(await api.post(PATH, body(said)), 400)
    assert error["param"] == "input"
    assert "c1" in error["message"]


def test_null_means_not_given() -> None:
    """Clients spell their unset options as null."""
    names = ["instructions", "tools", "reasoning", "text", "store", "metadata", "include", "stream",
             "previous_response_id", "tool_choice", "background", "truncation"]  # fmt: skip
    unset = json.dumps(body(**dict.fromkeys(names))).encode()
    assert read_response(unset) == read_response(json.dumps(body()).encode())

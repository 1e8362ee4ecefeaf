"""Replies that are held to a form, as clients of every API ask for them and see them."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from agent.constrain.contract import Compiler, Grammar
from agent.constrain.open import open_compiler, read_vocabulary
from agent.errors import EngineStoppedError, LostMaskError
from agent.tools.hermes import HERMES
from agent.turn.held.constraint import Constraint, TextForm
from agent.turn.held.held import hold
from agent.turn.proof.prover import Bounds, Prover
from learner.judges.verifying.verifier import VerifierJudge
from streams.model.open import BaseModel
from tests.agent.conftest import Api, StartApi
from tests.agent.test_server import TOOL, error_of, events
from tests.clients.live import Live, live

BAD: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "object", "properties": {"zip": {"type": "strin"}}}},
}
WIDE: dict[str, Any] = {"type": "object", "properties": {f"p{n}": {} for n in range(3000)}}
CITY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"enum": ["Oslo", "Rome"]},
        "days": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["city", "days"],
    "additionalProperties": False,
}
BROKEN = ["Let me. ", '<tool_call>{"name": "weather", "arg', "</tool_call>"]
CALL = ['<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}', "</tool_call>"]


@pytest.fixture(scope="module")
def compiler(tiny_base: BaseModel) -> Compiler:
    made = open_compiler(tiny_base)
    assert made is not None
    return made


def schema(body: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": body} | more}


@pytest.mark.parametrize(
    ("extra", "param", "why"),
    [
        ({"response_format": schema(BAD)}, "response_format",
         "schema.properties.city.properties.zip: Invalid type: strin"),
        ({"response_format": schema({"items": {"not": {}}, "type": "array"})}, "response_format",
         'schema.items: Unimplemented keys: ["not"]'),
        ({"structured_outputs": {"regex": "("}}, "structured_outputs", "unclosed group"),
        ({"structured_outputs": {"grammar": "start: x"}}, "structured_outputs", "unknown name"),
        ({"structured_outputs": {"grammar": "start: x"}, "tools": [TOOL]}, "structured_outputs",
         "1(8): unknown name"),
        ({"structured_outputs": {"grammar": "root ::= ("}, "tools": [TOOL]}, "structured_outputs",
         "it cannot be read"),
        ({"structured_outputs": {"json": BAD}}, "structured_outputs", "properties.zip"),
        ({"response_format": schema({"properties": {"a": WIDE}})}, "response_format",
         "response_format: schema.properties.a: 3000 properties in a row may be left out"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": WIDE}}],
          "tool_choice": "required"}, "tool_choice",
         "the parameters of 'f': schema: 3000 properties in a row may be left out"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": BAD}}],
          "tool_choice": "required"}, "tool_choice",
         "the parameters of 'f': schema.properties.city.properties.zip: Invalid type: strin"),
    ],
)  # fmt: skip
async def test_a_bad_form_is_refused_with_its_place(
    start_api: StartApi, compiler: Compiler, extra: dict[str, Any], param: str, why: str
) -> None:
    """The parameter, the path of the innermost part, and what is wrong there."""
    api: Api = await start_api(compiler=compiler)
    error = await error_of(await api.chat(**extra), 400)
    assert (error["param"], error["code"]) == (param, "invalid_value")
    assert why in error["message"]


async def test_a_form_that_takes_too_much_is_refused_by_the_limit_and_others_are_served(
    start_api: StartApi, compiler: Compiler, tiny_base: BaseModel
) -> None:
    """As a fault of the request, with its parameter, counted; what is wrong has its place still."""
    prover = Prover(read_vocabulary(tiny_base), Bounds(most_mb=64))
    api: Api = await start_api(compiler=compiler, prover=prover)
    error = await error_of(await api.chat(structured_outputs={"regex": "a?" * 10_000}), 400)
    assert (error["param"], error["code"]) == ("structured_outputs", "invalid_value")
    assert "takes over 64 MiB of memory" in error["message"]
    wrong = {"properties": {"a": {"pattern": "("}}}
    error = await error_of(await api.chat(response_format=schema(wrong)), 400)
    assert "schema.properties.a: " in error["message"]
    for fine in ({"pattern": "^a+$", "type": "string"}, CITY):
        assert (await api.chat(response_format=schema(fine))).status == 200
    told = await (await api.client.get("/metrics")).text()
    assert 'quickset_limited_forms_total{limit="memory"} 1.0' in told


async def test_what_the_client_allows_to_be_loose_is(
    start_api: StartApi, compiler: Compiler
) -> None:
    """strict: false passes over keywords that cannot be kept to."""
    api: Api = await start_api(compiler=compiler)
    unique = {"type": "array", "uniqueItems": True}
    refused = await api.chat(response_format=schema(unique, strict=True))
    assert "uniqueItems" in (await error_of(refused, 400))["message"]
    assert (await api.chat(response_format=schema(unique, strict=False))).status == 200


MORE: dict[str, Any] = {"properties": {"a": {"type": "string"}}, "required": ["a", "b"]}


@pytest.mark.parametrize(
    "extra", [{"tool_choice": "required"}, {"response_format": {"type": "json_object"}}]
)
async def test_arguments_that_are_demanded_and_not_named_can_be_given(
    start_api: StartApi, compiler: Compiler, extra: dict[str, Any]
) -> None:
    """Objects with more than what is named satisfy such a schema, so it is no bad one."""
    api: Api = await start_api(compiler=compiler)
    tool = {"type": "function", "function": {"name": "f", "parameters": MORE}}
    assert (await api.chat(tools=[tool], **extra)).status == 200
    grammar = api.engine.streams[0].request.grammar
    assert grammar is not None
    call = '<tool_call>{"name": "f", "arguments": {"a": "x", "b": 1}}</tool_call>'
    assert follows(compiler, grammar, call)


@pytest.mark.parametrize("types", [["object", "null"], ["array", "object", "string"]])
def test_arguments_are_an_object_whatever_else_their_schema_allows(
    compiler: Compiler, types: list[str]
) -> None:
    """Clients write that all may be left out; a call without an object is none."""
    parameters = {"type": types, "properties": {"a": {"type": "integer"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    held = hold(Constraint("tools", calls=("f",)), [tool], compiler=compiler, form=HERMES)
    for arguments, may in (("{}", True), ('{"a": 1}', True), ("null", False), ('"a"', False)):
        call = f'<tool_call>{{"name": "f", "arguments": {arguments}}}</tool_call>'
        assert follows(compiler, held.grammar, call) == may


def follows(compiler: Compiler, grammar: Grammar, text: str) -> bool:
    """Whether a text may be what a grammar demands."""
    matcher = grammar.start()
    for token in compiler._read_vocabulary().tokenize_bytes(text.encode()):  # type: ignore[attr-defined]
        if not matcher.mask()[token]:
            return False
        matcher.take(token)
    return True


async def test_without_the_package_a_form_is_refused_by_name(api: Api) -> None:
    """And says what is missing; what asks for no form is answered."""
    error = await error_of(await api.chat(response_format={"type": "json_object"}), 400)
    assert error["param"] == "response_format"
    assert "llguidance" in error["message"]
    assert (await api.chat(response_format={"type": "text"})).status == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_cannot_be_read_is_tried_again(
    start_api: StartApi, compiler: Compiler, stream: bool
) -> None:
    """Once, held to the form of a call; nobody sees the first, and the turn keeps it."""
    api: Api = await start_api(script=BROKEN, compiler=compiler)
    api.engine.then = [CALL]
    response = await api.chat(tools=[TOOL], stream=stream)
    if stream:
        *chunks, _ = await events(response)
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
        text = "".join(delta.get("content", "") for delta in deltas)
        (called,) = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
        assert called["index"] == 0
        assert called["id"]
    else:
        message = (await response.json())["choices"][0]["message"]
        text, (called,) = message["content"], message["tool_calls"]
    assert text == "Let me. "
    assert called["function"] == {"name": "weather", "arguments": '{"city": "Oslo"}'}
    first, second = (each.request for each in api.engine.streams)
    assert second.prompt_token_ids == [*first.prompt_token_ids, 0]  # after what was told
    assert (first.grammar, second.grammar is not None) == (None, True)
    assert second.sampling.max_tokens == first.sampling.max_tokens - 1
    (turn,) = api.turns()
    assert turn.broken_calls == ["".join(BROKEN[1:])]
    assert turn.token_ids == [0, 0, 1]
    assert turn.sampling.constraint is not None
    assert turn.sampling.constraint.kind == "tool_call"
    told = (await api.service.metrics.text()).decode()
    assert 'tool_parse_failures_total{fault="malformed",line="main",member="false"} 1.0' in told
    assert "quickset_retried_tool_calls_total{" in told
    event = next(each for each in api.service.events if each.kind == "broken-call")
    assert event.text == f"turn {turn.id}: malformed"


@pytest.mark.parametrize("parameters", [BAD, WIDE])
async def test_a_bad_schema_of_one_tool_leaves_the_others_their_second_try(
    start_api: StartApi, compiler: Compiler, parameters: dict[str, Any]
) -> None:
    """Each call is held to its own tool's; of the bad one, any object is a call."""
    api: Api = await start_api(script=BROKEN, compiler=compiler)
    api.engine.then = [CALL]
    good = {"type": "function", "function": {"name": "weather", "parameters": CITY}}
    bad = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    message = (await (await api.chat(tools=[bad, good])).json())["choices"][0]["message"]
    assert [call["function"]["name"] for call in message["tool_calls"]] == ["weather"]
    grammar = api.engine.streams[1].request.grammar
    assert grammar is not None
    for name, arguments, may in (
        ("weather", '{"city": "Oslo", "days": 1}', True),
        ("weather", '{"town": "Oslo"}', False),
        ("f", '{"town": "Oslo"}', True),
    ):
        call = f'<tool_call>{{"name": "{name}", "arguments": {arguments}}}</tool_call>'
        assert follows(compiler, grammar, call) == may


CALLS = '<tool_call>{"name": "weather", "arguments": '
BEGUN = ["Let me. ", CALLS, '{"city', '": Oslo}}</tool_call>']
REST = ['": "Os', 'lo"}}', "</tool_call>"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_breaks_off_is_gone_on_with(
    start_api: StartApi, compiler: Compiler, stream: bool
) -> None:
    """A stream tells a call while it is sampled; what was told stays, and the rest is held."""
    api: Api = await start_api(script=BEGUN, compiler=compiler)
    api.engine.then = [REST]
    response = await api.chat(tools=[TOOL], stream=stream)
    if stream:
        *chunks, _ = await events(response)
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
        first, *more = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
        assert (first["index"], first["function"]["name"]) == (0, "weather")
        assert first["id"]
        pieces = [each["function"]["arguments"] for each in more]
        assert all({"index", "function"} == each.keys() for each in more)
        arguments = first["function"]["arguments"] + "".join(pieces)
        assert [first["function"]["arguments"], *pieces] == ['{"city', '": "Os', 'lo"}']
    else:
        choice = (await response.json())["choices"][0]
        assert choice["finish_reason"] == "tool_calls"
        (called,) = choice["message"]["tool_calls"]
        arguments = called["function"]["arguments"]
    assert arguments == '{"city": "Oslo"}'
    first, second = (each.request for each in api.engine.streams)
    assert second.prompt_token_ids == [*first.prompt_token_ids, 0, 1, 2]
    assert second.grammar is not None
    matcher = second.grammar.start()
    spelt = compiler._read_vocabulary().tokenize_bytes  # type: ignore[attr-defined]
    for token in spelt("".join(REST).encode()):  # from the brace on, as its schema has it
        assert matcher.mask()[token]
        matcher.take(token)
    (turn,) = api.turns()
    assert turn.broken_calls == ["".join(BEGUN[1:])]
    assert turn.reply.tool_calls is not None
    assert turn.token_ids == [0, 1, 2, 0, 1, 2]


SPELT = [
    r'{"city": "caf\u00e9 ', r'{"city": "a\/b ', r'{"city": "\ud83d\ude00 ', r'{"c\u0069ty": "',
    '{"city":' + " " * 30 + '"', '{"city": "\x7f',
]  # fmt: skip


@pytest.mark.parametrize("begun", SPELT)
async def test_a_call_goes_on_however_its_json_is_spelt(
    start_api: StartApi, compiler: Compiler, begun: str
) -> None:
    """Escapes of what needs none, and more white space than a grammar lets a model write."""
    api: Api = await start_api(script=[CALLS, begun, "\n"], compiler=compiler)
    api.engine.then = [['Oslo"}}', "</tool_call>"]]
    choice = (await (await api.chat(tools=[TOOL])).json())["choices"][0]
    (called,) = choice["message"]["tool_calls"]
    assert called["function"]["arguments"] == f'{begun}Oslo"}}'
    grammar = api.engine.streams[1].request.grammar
    assert grammar is not None
    assert follows(compiler, grammar, 'Oslo"}}')


@pytest.mark.parametrize("begun", SPELT)
def test_a_message_is_gone_on_with_however_its_json_is_spelt(
    compiler: Compiler, begun: str
) -> None:
    """As json.dumps prints it, or another: what follows is its rest, and no second object."""
    body = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    form = Constraint("response_format", text=TextForm("json_schema", body))
    held = hold(form, None, compiler=compiler, form=HERMES, begun=begun)
    assert follows(compiler, held.grammar, 'Oslo"}')
    assert not follows(compiler, held.grammar, '{"city": "')


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_cannot_be_held_on_ends_as_one_that_is_cut(
    start_api: StartApi, compiler: Compiler, stream: bool
) -> None:
    """As within an escape that no grammar begins: that is no fault of the server or the client."""
    begun = r'{"city": "caf\u00e'
    api: Api = await start_api(script=["Well. ", CALLS, begun, "\n"], compiler=compiler)
    response = await api.chat(tools=[TOOL], stream=stream)
    assert response.status == 200
    if stream:
        *chunks, last = await events(response)
        assert last == "[DONE]"
        assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    else:
        choice = (await response.json())["choices"][0]
        assert (choice["finish_reason"], choice["message"]["content"]) == ("length", "Well. ")
        assert "tool_calls" not in choice["message"]
    (turn,) = api.turns()
    assert turn.reply.tool_calls is None


async def test_a_call_that_cannot_go_on_ends_with_an_error(
    start_api: StartApi, compiler: Compiler
) -> None:
    """As where the engine stops before its rest: asked again, it may come."""
    api: Api = await start_api(script=BEGUN, compiler=compiler)
    api.engine.then = [["x"]]
    refusals = iter([None, EngineStoppedError("stopped")])
    api.engine.refuse = lambda: next(refusals, None)
    told = await (await api.chat(tools=[TOOL], stream=True)).text()
    assert '"error"' in told.splitlines()[-2]
    assert "[DONE]" not in told


async def test_a_form_that_cannot_be_followed_to_the_end_is_the_client_s(
    start_api: StartApi, compiler: Compiler
) -> None:
    """Told by its parameter: asking again as it stands would end alike."""
    api: Api = await start_api(script=["a", LostMaskError("it is too complex")], compiler=compiler)
    form = {"regex": "a*"}
    error = await error_of(await api.chat(structured_outputs=form), 400)
    assert (error["param"], error["message"]) == (
        "structured_outputs", "structured_outputs: it is too complex",
    )  # fmt: skip
    told = await (await api.chat(structured_outputs=form, stream=True)).text()
    assert "structured_outputs: it is too complex" in told.splitlines()[-2]
    assert (await error_of(await api.chat(), 500))["code"] == "internal_error"


@pytest.mark.parametrize("held", [False, True])
async def test_a_broken_call_is_withheld_where_no_other_try_helps(
    start_api: StartApi, compiler: Compiler, held: bool
) -> None:
    """Switched off, or broken again: the text stays, the call is no part of it, and is counted."""
    api: Api = await start_api(script=BROKEN, compiler=compiler, retry_calls=held)
    choice = (await (await api.chat(tools=[TOOL])).json())["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert "tool_call" not in choice["message"]["content"]
    assert "tool_calls" not in choice["message"]
    assert len(api.engine.streams) == 1 + held
    (turn,) = api.turns()
    assert len(turn.broken_calls) == 1 + held


async def test_a_call_of_a_tool_that_is_not_on_offer_is_none(start_api: StartApi) -> None:
    """Handed on, it would make the client fail, or do what nobody offered; a judge hears of it."""
    api: Api = await start_api(script=[CALL[0].replace("weather", "shell"), CALL[1]])
    message = (await (await api.chat(tools=[TOOL])).json())["choices"][0]["message"]
    assert "tool_calls" not in message
    (turn,) = api.turns()
    judged = VerifierJudge(()).judge(turn, turn)
    assert judged is not None
    assert judged.score == -1
    assert judged.evidence == "meant as a call, and none: shell"
    assert 'fault="unknown"' in (await api.service.metrics.text()).decode()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, tiny_base: BaseModel) -> Iterator[Live]:
    with live(tmp_path_factory.mktemp("held"), base=tiny_base, default_max_tokens=300) as running:
        yield running


def post(api: Live, path: str, **body: Any) -> Any:
    request = urllib.request.Request(
        f"{api.address}/v1/{path}",
        json.dumps({"model": "quickset"} | body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


HI: Any = [{"role": "user", "content": "Weather?"}]
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "parameters": CITY}}
    for name in ("weather", "trains")
]
NAMED: Any = {"type": "function", "function": {"name": "trains"}}
ALLOWED: Any = {
    "type": "allowed_tools",
    "allowed_tools": {"mode": "required", "tools": [NAMED]},
}


def proved(arguments: str) -> None:
    """Prove that arguments are an object of the schema."""
    value = json.loads(arguments)
    assert value.keys() == {"city", "days"}
    assert value["city"] in ("Oslo", "Rome")
    assert isinstance(value["days"], int)


@pytest.mark.parametrize(
    ("choice", "names", "most"),
    [("required", {"weather", "trains"}, 8), (NAMED, {"trains"}, 9), (ALLOWED, {"trains"}, 9),
     ("required", {"weather", "trains"}, 1)],
)  # fmt: skip
def test_a_model_of_noise_calls_what_it_must(
    real: Live, choice: Any, names: set[str], most: int
) -> None:
    """A tool on offer, with arguments of its schema; one, where calls are not parallel."""
    for seed in range(3):
        asked = {"messages": HI, "tools": TOOLS, "tool_choice": choice, "temperature": 1}
        told = post(real, "chat/completions", **asked, seed=seed, parallel_tool_calls=most > 1)[
            "choices"
        ][0]
        assert told["finish_reason"] == "tool_calls"
        calls = told["message"]["tool_calls"]
        assert 1 <= len(calls) <= most
        for call in calls:
            assert call["function"]["name"] in names
            proved(call["function"]["arguments"])


@pytest.mark.parametrize("function", [{}, {"parameters": {}}, {"parameters": None}])
def test_a_function_that_names_no_parameter_is_called_without_any(
    real: Live, function: dict[str, Any]
) -> None:
    """As in OpenAI's API; small models else make arguments up until the reply's limit."""
    tool = {"type": "function", "function": {"name": "ping"} | function}
    asked = {"messages": HI, "tools": [tool], "tool_choice": "required", "temperature": 1}
    told = post(real, "chat/completions", **asked, parallel_tool_calls=False)["choices"][0]
    (call,) = told["message"]["tool_calls"]
    assert (call["function"]["name"], call["function"]["arguments"]) == ("ping", "{}")


@pytest.mark.parametrize("grammar", ['root ::= "x" | "y"', 'start: calls\ncalls: "x" | "y"'])
@pytest.mark.parametrize("calls", [("weather",), ("weather", "trains"), ()])
def test_a_text_of_a_grammar_gives_way_to_calls(
    tiny_base: BaseModel, compiler: Compiler, grammar: str, calls: tuple[str, ...]
) -> None:
    """As one of any other form does, where there are tools that may be called."""
    wanted = Constraint("structured_outputs", TextForm("grammar", grammar), calls=calls)
    held = hold(wanted, TOOLS, compiler=compiler, form=HERMES)

    def allows(text: str) -> bool:
        matcher = held.grammar.start()
        for token in tiny_base.encode(text):
            if matcher.ended or not matcher.mask()[token]:
                return False
            matcher.take(token)
        return True

    def call(name: str) -> str:
        arguments = json.dumps({"city": "Oslo", "days": 3})
        return f'<tool_call>{{"name": "{name}", "arguments": {arguments}}}</tool_call>'

    assert [allows(text) for text in ("x", "y", "z", f"x{call('weather')}")] == [
        True, True, False, False,
    ]  # fmt: skip
    assert [allows(call(name)) for name in ("weather", "trains")] == [
        name in calls for name in ("weather", "trains")
    ]
    assert held.told.kind == "grammar"


def frames(api: Live, path: str, **body: Any) -> list[Any]:
    """The events of a stream."""
    request = urllib.request.Request(
        f"{api.address}/v1/{path}",
        json.dumps({"model": "quickset", "stream": True} | body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        lines = [line.removeprefix(b"data: ") for line in response if line.startswith(b"data: {")]
    return [json.loads(line) for line in lines]


# By each API: how a call that must be made is asked for, and how its calls are read from the events
# of a stream, each as its name and the pieces of its arguments.
ASKED: dict[str, Any] = {
    "chat/completions": {
        "messages": HI, "tool_choice": "required", "max_tokens": 99, "tools": TOOLS,
    },
    "responses": {
        "input": "Weather?", "tool_choice": "required", "max_output_tokens": 99,
        "tools": [{"type": "function"} | each["function"] for each in TOOLS],
    },
    "messages": {
        "messages": HI, "tool_choice": {"type": "any"}, "max_tokens": 99,
        "tools": [{"name": name, "input_schema": CITY} for name in ("weather", "trains")],
    },
}  # fmt: skip


def grown(path: str, told: list[Any]) -> list[tuple[str, list[str]]]:
    """The calls that a stream tells."""
    calls: list[tuple[str, list[str]]] = []
    for each in told:
        if path == "chat/completions":
            for call in each["choices"][0]["delta"].get("tool_calls", []):
                if "id" in call:
                    assert call["index"] == len(calls)
                    calls.append((call["function"]["name"], []))
                calls[call["index"]][1].append(call["function"]["arguments"])
        elif each["type"] in ("response.output_item.added", "content_block_start"):
            begun = each.get("item") or each["content_block"]
            if begun["type"] in ("function_call", "tool_use"):
                calls.append((begun["name"], []))
        elif each["type"] == "response.function_call_arguments.delta":
            calls[-1][1].append(each["delta"])
        elif each["type"] == "content_block_delta":
            calls[-1][1].append(each["delta"]["partial_json"])
        elif each["type"] == "response.function_call_arguments.done":
            assert each["arguments"] == "".join(calls[-1][1])
    return calls


@pytest.mark.parametrize("path", ASKED)
def test_arguments_come_while_they_are_sampled(real: Live, path: str) -> None:
    """Piece by piece, each call begun with its index, id and name; joined, they are the whole."""
    asked = ASKED[path] | {"temperature": 1, "seed": 5}
    calls = grown(path, frames(real, path, **asked))
    whole = post(real, path, **asked)
    if path == "chat/completions":
        told = whole["choices"][0]["message"].get("tool_calls", [])
        made = [each["function"] for each in told]
    elif path == "responses":
        made = [each for each in whole["output"] if each["type"] == "function_call"]
    else:
        made = whole["content"]
    assert calls
    for call, (name, pieces) in zip(made, calls, strict=False):
        assert call["name"] == name
        arguments = call.get("arguments") or json.dumps(call["input"])
        assert json.loads("".join(pieces)) == json.loads(arguments)
        assert len(pieces) > 1
        proved("".join(pieces))
    assert len(calls) - len(made) in (0, 1)  # the last one may be cut, and is then none


def kinds(response: Any) -> list[tuple[str, str]]:
    """What each item of a response is, and whether it is whole."""
    return [(item["type"], item["status"]) for item in response["output"]]


@pytest.mark.parametrize("path", ASKED)
def test_a_call_that_the_limit_cuts_is_told_and_is_none(real: Live, path: str) -> None:
    """The stream ends as one that was cut does; a whole reply has no half of a call.

    But for Responses, which tell it as OpenAI's do: incomplete.
    """
    limit = "max_output_tokens" if path == "responses" else "max_tokens"
    for tokens in (20, 30, 40):
        asked = ASKED[path] | {"temperature": 1, "seed": 5, limit: tokens}
        events = frames(real, path, **asked)
        told = json.dumps(events)
        assert '"length"' in told or '"max_tokens"' in told or '"max_output_tokens"' in told
        whole = post(real, path, **asked)
        if path == "responses":
            told_items = [e["item"] for e in events if e["type"] == "response.output_item.done"]
            assert told_items == events[-1]["response"]["output"]
            assert kinds(events[-1]["response"]) == kinds(whole)
            *before, (_, last) = kinds(whole)
            assert {status for _, status in before} <= {"completed"}
            assert last == "incomplete"
        else:
            assert "function_call" not in json.dumps(whole)


@pytest.mark.parametrize("begun", ['{"city": "Os', "{", "Here it is:"])
def test_a_message_that_is_gone_on_with_is_held_as_a_whole(real: Live, begun: str) -> None:
    """Where it begins as its form does; else what comes after it is held alone."""
    talk = [*HI, {"role": "assistant", "content": begun}]
    chat = post(real, "chat/completions", messages=talk, continue_final_message=True,
                response_format=schema(CITY), temperature=1, seed=3)  # fmt: skip
    config = {"format": {"type": "json_schema", "schema": CITY}}
    block = post(real, "messages", messages=talk, max_tokens=300, output_config=config)
    for told in (chat["choices"][0]["message"]["content"], block["content"][0]["text"]):
        proved(begun + told if begun.startswith("{") else told)


@pytest.mark.parametrize("path", ["chat/completions", "messages"])
def test_a_stop_string_cuts_no_call_and_no_json(real: Live, path: str) -> None:
    """What begins there would be neither a call nor JSON: agents send stop strings with all."""
    stop = ["{", "city", '"', "Oslo", "Rome", "}", "<tool_call>", "</tool_call>"]
    name = "stop" if path == "chat/completions" else "stop_sequences"
    asked = ASKED[path] | {"temperature": 1, "seed": 5, "max_tokens": 500, name: stop}
    calls = grown(path, frames(real, path, **asked))
    whole = post(real, path, **asked)
    assert calls
    for _, pieces in calls:
        proved("".join(pieces))
    if path == "messages":
        assert whole["stop_reason"] == "tool_use"
        form: Any = {"output_config": {"format": {"type": "json_schema", "schema": CITY}}}
        said = post(real, path, messages=HI, max_tokens=300, stop_sequences=stop, **form)
        assert said["stop_reason"] == "end_turn"
        proved(said["content"][0]["text"])
        return
    assert whole["choices"][0]["finish_reason"] == "tool_calls"
    said = post(real, path, messages=HI, stop=stop, response_format=schema(CITY))["choices"][0]
    assert said["finish_reason"] == "stop"
    proved(said["message"]["content"])
    for form, allowed in (
        ({"choice": ["stop", "halt"]}, {"stop", "halt"}),
        ({"regex": "xab"}, {"x"}),
    ):
        told = post(real, path, messages=HI, stop=["o", "al", "ab"], structured_outputs=form)
        assert told["choices"][0]["message"]["content"] in allowed


@pytest.mark.parametrize(
    ("asked", "cuts"),
    [
        ({}, True),
        ({"response_format": {"type": "json_object"}}, False),
        ({"structured_outputs": {"choice": ["a"]}}, False),
        ({"structured_outputs": {"regex": "a"}}, True),
        ({"tools": [TOOL]}, True),
        ({"tools": [TOOL], "tool_choice": "required"}, False),
        ({"tools": [TOOL], "response_format": {"type": "json_object"}}, False),
        ({"tools": [TOOL], "structured_outputs": {"regex": "a"}}, True),
    ],
)
async def test_what_a_stop_string_cuts(
    start_api: StartApi, compiler: Compiler, asked: dict[str, Any], cuts: bool
) -> None:
    """Texts, and beside them no calls; forms that may leave it to a stop string where they end."""
    api: Api = await start_api(compiler=compiler)
    assert (await api.chat(stop=["a"], **asked)).status == 200
    request = api.engine.streams[0].request
    assert request.sampling.stop == (["a"] if cuts else [])
    assert (request.spared is not None) == ("tools" in asked)
    assert api.turns()[0].sampling.stop == ["a"]  # as it was asked


def test_every_api_holds_to_a_schema(real: Live) -> None:
    """Chat, Completions, Responses and Messages; and where tools are on offer, a call may come."""
    chat = post(real, "chat/completions", messages=HI, response_format=schema(CITY, strict=True))
    proved(chat["choices"][0]["message"]["content"])
    text = post(real, "completions", prompt="Once", max_tokens=300,
                structured_outputs={"json": json.dumps(CITY)})  # fmt: skip
    proved(text["choices"][0]["text"])
    form = {"format": {"type": "json_schema", "name": "x", "schema": CITY, "strict": True}}
    made = post(real, "responses", input="Weather?", text=form)
    proved(made["output"][0]["content"][0]["text"])
    config = {"format": {"type": "json_schema", "schema": CITY}}
    block = post(real, "messages", messages=HI, max_tokens=300, output_config=config)
    proved(block["content"][0]["text"])
    tool = {"name": "trains", "input_schema": CITY}
    block = post(real, "messages", messages=HI, max_tokens=300, tools=[tool],
                 tool_choice={"type": "any", "disable_parallel_tool_use": True})  # fmt: skip
    assert [each["name"] for each in block["content"] if each["type"] == "tool_use"] == ["trains"]
    function = {"type": "function", "name": "trains", "parameters": CITY, "strict": True}
    made = post(real, "responses", input="Weather?", tools=[function], tool_choice="required")
    for item in made["output"]:
        assert item["type"] == "function_call"
        proved(item["arguments"])
    for seed in range(4):
        either = post(real, "chat/completions", messages=HI, response_format=schema(CITY),
                      tools=TOOLS, temperature=1, seed=seed)["choices"][0]  # fmt: skip
        for call in either["message"].get("tool_calls", []):
            proved(call["function"]["arguments"])
        if either["finish_reason"] == "stop":
            proved(either["message"]["content"])


def test_texts_of_other_forms(real: Live) -> None:
    """vLLM's names; and the record says what a reply was held to, and which tokens it chose."""
    for form, allowed in (
        ({"choice": ["yes", "no"]}, {"yes", "no"}),
        ({"regex": "a{2}[0-1]"}, {"aa0", "aa1"}),
        ({"grammar": 'root ::= "x" | "y"'}, {"x", "y"}),
    ):
        told = post(real, "chat/completions", messages=HI, structured_outputs=form, temperature=1)
        assert told["choices"][0]["message"]["content"] in allowed
        assert told["choices"][0]["finish_reason"] == "stop"
    thing = post(real, "chat/completions", messages=HI, response_format={"type": "json_object"},
                 max_tokens=40)["choices"][0]  # fmt: skip
    assert thing["message"]["content"].startswith("{")
    assert thing["finish_reason"] == "length" or json.loads(thing["message"]["content"]) is not None

"""Completions: a text is continued as it stands, several at once, whole or streamed."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.api.completions.places import Places
from agent.api.completions.request import DEFAULT_MAX_TOKENS, MAX_REPLIES, read_completion
from agent.errors import InvalidError
from tests.agent.conftest import Api, StartApi, events_of
from tests.agent.fakes import BASE
from tests.agent.test_server import error_of

PATH = "/v1/completions"


def body(**extra: Any) -> dict[str, Any]:
    return {"model": "quickset", "prompt": "Once upon a time"} | extra


async def test_a_text_is_continued(api: Api) -> None:
    """One prompt, one reply, in this API's own shape; the prompt is read without the template."""
    response = await api.post(PATH, body())
    told = await response.json()
    assert (told["object"], told["model"], told["id"][:5]) == (
        "text_completion", "quickset", "cmpl-",
    )  # fmt: skip
    choice = {"index": 0, "text": "Hello, world!", "logprobs": None, "finish_reason": "stop"}
    assert told["choices"] == [choice]
    assert told["usage"]["prompt_tokens"] == 4
    assert response.headers["X-Quickset-Version"] == told["system_fingerprint"] == BASE
    (turn,) = api.turns()
    assert (turn.id, turn.purpose, turn.prompt_token_ids) == (told["id"], "side", [0, 1, 2, 3])
    assert turn.sampling.max_tokens == DEFAULT_MAX_TOKENS


async def test_a_prompt_may_be_token_ids(api: Api) -> None:
    """Ids are what is read, to the token; what the vocabulary lacks is refused by its name."""
    for prompt, ids in (([7, 8, 9], [7, 8, 9]), ([[4], [5, 6]], [4])):
        response = await api.post(PATH, body(prompt=prompt))
        assert response.status == 200, await response.text()
        assert api.engine.streams[-1 if prompt == [7, 8, 9] else -2].request.prompt_token_ids == ids
    for wrong in ([5000], [-1], [[3], [10**30]]):
        assert (await error_of(await api.post(PATH, body(prompt=wrong)), 400))["param"] == "prompt"


async def test_several_prompts_have_several_choices_each(api: Api) -> None:
    """Choices are numbered prompt by prompt; each is a turn of its own, with its own prompt."""
    response = await api.post(PATH, body(prompt=["one", "two words"], n=2, seed=5, echo=True))
    told = await response.json()
    texts = [choice["text"] for choice in told["choices"]]
    assert texts == ["oneHello, world!"] * 2 + ["two wordsHello, world!"] * 2
    assert [choice["index"] for choice in told["choices"]] == [0, 1, 2, 3]
    assert (told["usage"]["prompt_tokens"], told["usage"]["completion_tokens"]) == (3, 16)
    turns = {turn.id.removeprefix(told["id"]): turn for turn in api.turns()}
    said = [(name, t.messages[0].content, t.sampling.seed) for name, t in turns.items()]
    assert said == [
        ("", "one", 5), ("-1", "one", 6), ("-2", "two words", 5), ("-3", "two words", 6),
    ]  # fmt: skip
    rated = await api.client.put(f"/v1/feedback/{told['id']}-3", json={"score": 1})
    assert rated.status == 200


async def test_a_stream_is_the_whole_in_pieces(api: Api) -> None:
    """Joined, the chunks are the text; the last says why it ended, then usage, then the end."""
    asked = body(stream=True, echo=True, stream_options={"include_usage": True})
    *chunks, usage, done = [data for _, data in await events_of(await api.post(PATH, asked))]
    assert done == "[DONE]"
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 4)
    choices = [chunk["choices"][0] for chunk in chunks]
    assert "".join(choice["text"] for choice in choices) == "Once upon a timeHello, world!"
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["stop"]


@pytest.mark.parametrize("stream", [False, True])
async def test_logprobs_of_the_chosen_tokens(api: Api, stream: bool) -> None:
    """Every token comes with its log-probability and its place in the text."""
    response = await api.post(PATH, body(logprobs=0, stream=stream))
    if stream:
        told = [data for _, data in (await events_of(response))[:-1]]
    else:
        told = [await response.json()]
    each = [chunk["choices"][0]["logprobs"] for chunk in told]
    tokens = list(itertools.chain(*(part["tokens"] for part in each)))
    offsets = list(itertools.chain(*(part["text_offset"] for part in each)))
    assert tokens == ["Hello", ",", " world", "!"]
    assert offsets == [0, 5, 6, 12]
    assert {p for part in each for p in part["token_logprobs"]} == {-0.5}


@given(st.binary(max_size=24), st.data())
def test_places_are_those_of_the_text(written: bytes, data: st.DataObject) -> None:
    """Whatever bytes tokens write, and however they cut them: each begins where its bytes do."""
    cuts = sorted(data.draw(st.sets(st.integers(1, 24))))
    pieces = [written[a:b] for a, b in itertools.pairwise([0, *cuts, 25])]
    places, text = Places(), written.decode(errors="replace")
    told = [(places.take(piece), piece) for piece in pieces]
    at = 0
    for place, piece in told:
        before, upto = written[:at], written[: at + 1]
        if piece:  # the character that its first byte is of, when nothing else follows
            assert place == len(upto.decode(errors="replace")) - 1
            if before.decode(errors="replace") == before.decode(errors="ignore"):
                assert place == len(before.decode())
        assert 0 <= place <= len(text)
        at += len(piece)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("script", "stop", "told", "offsets"),
    [
        ([b"a\xe2", b"b", b"c"], [], "a\ufffdbc", [0, 2, 3]),
        ([b"\xe2", b"\x98", b"\x83", b"!"], [], "\u2603!", [0, 0, 0, 1]),
        ([b"\xff", b"\xff", b"x"], [], "\ufffd\ufffdx", [0, 1, 2]),
        ([b"\xe2\x98", b"\xe2\x98\x83", b"x"], [], "\ufffd\u2603x", [0, 1, 2]),
        ([b"ab", b"cST", b" d", b"e"], ["STOP"], "abcST de", [0, 2, 5, 7]),
        ([b"\xf0\x9f", b"S", b"T", b"e"], ["STOP"], "\ufffdSTe", [0, 1, 2, 3]),
    ],
)
async def test_a_token_is_placed_where_the_text_has_it(
    start_api: StartApi, script: list[bytes], stop: list[str], told: str, offsets: list[int],
    stream: bool,
) -> None:  # fmt: skip
    """Behind bytes that are no character, and behind what a stop string held back, too."""
    api: Api = await start_api(script=[each.decode("latin-1") for each in script])
    api.engine.writes = lambda text: text.encode("latin-1")
    response = await api.post(PATH, body(logprobs=0, stream=stream, stop=stop))
    chunks = (
        [data for _, data in (await events_of(response))[:-1]]
        if stream
        else [await response.json()]
    )
    each = [chunk["choices"][0] for chunk in chunks]
    assert "".join(choice["text"] for choice in each) == told
    assert [at for choice in each for at in choice["logprobs"]["text_offset"]] == offsets


async def test_a_stop_string_ends_each_reply(start_api: StartApi) -> None:
    """What a stop string begins is not part of the text."""
    api: Api = await start_api(script=["ab", "cSTO", "Pd"])
    told = await (await api.post(PATH, body(stop=["STOP"]))).json()
    assert (told["choices"][0]["text"], told["choices"][0]["finish_reason"]) == ("abc", "stop")


@pytest.mark.parametrize(
    ("extra", "param"),
    [
        ({"prompt": []}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": {"a": 1}}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": ["a", 3]}, "prompt"),
        ({"prompt": [True, False]}, "prompt"),
        ({"prompt": ["a"] * (MAX_REPLIES + 1)}, "prompt"),
        ({"prompt": ["a"] * 9, "n": 4}, "n"),
        ({"n": 10**9}, "n"),
        ({"best_of": 3}, "best_of"),
        ({"suffix": "the end"}, "suffix"),
        ({"logprobs": 6}, "logprobs"),
        ({"logprobs": True}, "logprobs"),
        ({"echo": True, "logprobs": 0}, "echo"),
        ({"echo": True, "prompt": [3]}, "echo"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"model": 3}, "model"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(extra: dict[str, Any], param: str) -> None:
    """A wrong type or value, and what this API has that we have not, names its parameter."""
    with pytest.raises(InvalidError) as caught:
        read_completion(json.dumps(body(**extra)).encode())
    assert caught.value.param == param
    assert caught.value.message.startswith(param)


def test_null_means_not_given() -> None:
    """Clients spell their unset options as null."""
    unset = dict.fromkeys(["best_of", "echo", "logprobs", "n", "stop", "suffix", "user", "seed"])
    assert read_completion(json.dumps(body(**unset)).encode()) == read_completion(
        json.dumps(body(suffix="", n=1)).encode()
    ).model_copy(update={"n": None, "suffix": None})


async def test_a_prompt_that_leaves_no_room_is_refused_by_its_name(api: Api) -> None:
    """The parameter at fault is this API's."""
    error = await error_of(await api.post(PATH, body(prompt="w " * 70)), 400)
    assert (error["param"], error["code"]) == ("prompt", "context_length_exceeded")

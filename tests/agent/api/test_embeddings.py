"""Embeddings: refused by name where nothing embeds, in OpenAI's shape where something does."""

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from agent.api.embeddings.request import CHANGES, MAX_TEXTS, read_embedding
from agent.embedding import MOST_WAITING, Embedding
from agent.errors import BusyError, InvalidError, UnavailableError
from streams.model.embedding.embed import Vectors, embedder_when_asked
from tests.agent.conftest import Api
from tests.agent.test_server import error_of

PATH = "/v1/embeddings"


class Lengths:
    """An embedder that knows how long a text is."""

    name = "lengths"
    dimensions = 2

    def embed(self, texts: Sequence[str]) -> Vectors:
        return np.asarray([[len(text), 0.5] for text in texts], dtype=np.float32)


def body(said: Any = "Hi there", **extra: Any) -> dict[str, Any]:
    return {"model": "lengths", "input": said} | extra


async def test_without_an_embedder_it_is_refused_by_name(api: Api) -> None:
    """The client is told what the server lacks."""
    error = await error_of(await api.post(PATH, body()), 400)
    assert error["code"] == "embedder_missing"
    assert "embedder" in error["message"]


async def test_texts_become_vectors_in_order(api: Api) -> None:
    """One vector a text, as numbers or as bytes of float32; tokens are counted."""
    api.service.embedding = Embedding(Lengths())
    told = await (await api.post(PATH, body(["a", "bcd e"], dimensions=2))).json()
    assert [each["embedding"] for each in told["data"]] == [[1.0, 0.5], [5.0, 0.5]]
    assert [each["index"] for each in told["data"]] == [0, 1]
    assert (told["object"], told["model"], told["usage"]["prompt_tokens"]) == ("list", "lengths", 3)
    told = await (await api.post(PATH, body(model="quickset", encoding_format="base64"))).json()
    sent = base64.b64decode(told["data"][0]["embedding"])
    assert np.frombuffer(sent, "<f4").tolist() == [8.0, 0.5]


async def until(true: Callable[[], object]) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)


class Slow(Lengths):
    """An embedder that goes on when it is let."""

    def __init__(self) -> None:
        self.let, self.seen = threading.Event(), list[str]()

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.seen += texts
        self.let.wait(30)
        return super().embed(texts)


async def test_whoever_goes_away_ends_what_is_left() -> None:
    """Nothing but the text in hand is embedded for them, and whoever waits has their turn."""
    slow = Slow()
    embedding = Embedding(slow)
    gone = asyncio.create_task(embedding.vectors(["one", "two", "three"]))
    await until(lambda: slow.seen)
    gone.cancel()
    other = asyncio.create_task(embedding.vectors(["other"]))
    await asyncio.sleep(0)
    slow.let.set()
    assert (await other).tolist() == [[5.0, 0.5]]
    assert slow.seen == ["one", "other"]


async def test_only_so_many_wait_and_a_stop_ends_them() -> None:
    """One more is told to come again; whatever else the process does in threads goes on."""
    slow = Slow()
    embedding = Embedding(slow)
    waiting = [asyncio.create_task(embedding.vectors(["a", "b"])) for _ in range(MOST_WAITING)]
    await until(lambda: slow.seen)
    with pytest.raises(BusyError):
        await embedding.vectors(["one more"])
    assert await asyncio.to_thread(lambda: "free") == "free"
    embedding.close()
    slow.let.set()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert slow.seen == ["a"]
    assert {type(each) for each in ended} == {UnavailableError}
    with pytest.raises(UnavailableError):
        await embedding.vectors(["late"])


@pytest.mark.embedder
async def test_what_means_alike_lies_close(api: Api) -> None:
    """The embedder that the agent opens when it is first asked, whatever characters a text has."""
    if (embedder := embedder_when_asked()) is None:
        pytest.skip("needs the extra embedder")
    api.service.embedding = Embedding(embedder)
    said = ["The cat sleeps.", "Die Katze schläft.", "Interest rates rose again.", "\0"]
    told = await (await api.post(PATH, body(said, model="quickset"))).json()
    vectors = np.asarray([each["embedding"] for each in told["data"]])
    assert vectors.shape == (4, embedder.dimensions)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


async def test_what_the_embedder_has_not_is_refused(api: Api) -> None:
    """Another model, and vectors of another length."""
    api.service.embedding = Embedding(Lengths())
    assert (await error_of(await api.post(PATH, body(model="ada")), 404))["param"] == "model"
    error = await error_of(await api.post(PATH, body(dimensions=256)), 400)
    assert error["param"] == "dimensions"


@pytest.mark.parametrize(
    ("extra", "param"),
    [({"input": []}, "input"), ({"input": ""}, "input[0]"), ({"input": [3, 4]}, "input"),
     ({"input": ["a", 3]}, "input"), ({"input": ["a"] * (MAX_TEXTS + 1)}, "input"),
     ({"input": None}, "input"), ({"encoding_format": "int8"}, "encoding_format"),
     ({"dimensions": 0}, "dimensions")],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_by_name(extra: dict[str, Any], param: str) -> None:
    """A wrong type or value names its parameter."""
    with pytest.raises(InvalidError) as caught:
        read_embedding(json.dumps(body() | extra).encode())
    assert caught.value.param == param


@pytest.mark.parametrize("name", CHANGES)
def test_what_would_change_a_vector_is_refused_by_name(name: str) -> None:
    """Whatever another server takes, but for the values that ask for what is done anyway."""
    for value in ("zork", 7, [7], {"a": 7}, *(1 for each in CHANGES[name] if each is True)):
        with pytest.raises(InvalidError) as caught:
            read_embedding(json.dumps(body(**{name: value})).encode())
        assert caught.value.param == name
    for value in (None, *CHANGES[name]):
        assert read_embedding(json.dumps(body(**{name: value})).encode()).input == ["Hi there"]


def test_who_asks_and_names_of_no_server_pass() -> None:
    """OpenAI's user is taken, as elsewhere; so is what means nothing to anybody."""
    assert read_embedding(json.dumps(body(user="ann", zork=5)).encode()).user == "ann"

"""Small inputs at the edges of what is allowed, by every API, on a tiny real model."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from streams.model.open import BaseModel
from tests.clients.live import Live, live

HI: Any = [{"role": "user", "content": "What is the capital of France?"}]
# By each API: a request for eight tokens, the name of its limit, and where its text stands.
APIS: dict[str, tuple[dict[str, Any], str]] = {
    "chat/completions": ({"messages": HI, "max_tokens": 8}, "max_tokens"),
    "completions": ({"prompt": "The capital", "max_tokens": 8}, "max_tokens"),
    "responses": ({"input": "The capital?", "max_output_tokens": 8}, "max_output_tokens"),
    "messages": ({"messages": HI, "max_tokens": 8}, "max_tokens"),
}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, tiny_base: BaseModel) -> Iterator[Live]:
    with live(tmp_path_factory.mktemp("small"), base=tiny_base, context_tokens=256) as running:
        yield running


def asked(api: Live, path: str, method: str = "POST", **body: Any) -> tuple[int, Any]:
    """Send a request; its status and body."""
    if path in APIS:
        body = {"model": "quickset"} | APIS[path][0] | body
    request = urllib.request.Request(
        f"{api.address}/v1/{path}", json.dumps(body).encode() if body else None,
        {"Content-Type": "application/json"}, method=method,
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def text_of(told: tuple[int, Any]) -> str:
    status, body = told
    assert status == 200, body
    if "choices" in body:
        choice = body["choices"][0]
        return str(choice["text"] if "text" in choice else choice["message"]["content"])
    if "output" in body:
        return str(body["output"][0]["content"][0]["text"])
    return "".join(each["text"] for each in body["content"])


@pytest.mark.parametrize("path", APIS)
@pytest.mark.parametrize(
    "extra",
    [{"temperature": 5e-324}, {"temperature": 1e-45}, {"temperature": 1e-38},
     {"temperature": 1, "top_p": 5e-324}, {"temperature": 1, "min_p": 1},
     {"temperature": 1, "top_k": 1}],
    ids=str,
)  # fmt: skip
def test_what_leaves_one_token_is_greedy(real: Live, path: str, extra: dict[str, Any]) -> None:
    """However little room is left, the reply is the likeliest one, and its turn is kept."""
    greedy = text_of(asked(real, path, temperature=0))
    assert text_of(asked(real, path, **extra)) == greedy
    assert [each for each in real.service.events if each.kind == "dropped"] == []


@pytest.mark.parametrize(
    "more",
    [{"repetition_penalty": 100}, {"repetition_penalty": 0.01}, {"frequency_penalty": -2},
     {"logit_bias": {"300": 100, "301": 99}}, {"logit_bias": {str(n): -100 for n in range(380)}}],
    ids=lambda more: str(more)[:30],
)  # fmt: skip
def test_greedy_is_greedy_beside_all_that_moves_scores(real: Live, more: dict[str, Any]) -> None:
    """A temperature too small to divide by is none, whatever was done to the scores before."""
    path = "chat/completions"
    greedy = text_of(asked(real, path, temperature=0, **more))
    assert text_of(asked(real, path, temperature=1e-100, **more)) == greedy


@pytest.mark.parametrize("path", ["chat/completions", "completions"])
@pytest.mark.parametrize("stream", [False, True])
def test_tokens_are_named_alike_with_and_without_stop_strings(
    real: Live, path: str, stream: bool
) -> None:
    """A stop string that begins in the midst of a token shifts no name and no place."""

    def names(**more: Any) -> list[str]:
        more |= {"logprobs": True if path.startswith("chat") else 1, "temperature": 0}
        status, body = asked(real, path, **more)
        assert status == 200
        told = body["choices"][0]["logprobs"]
        found: list[str] = told.get("tokens") or [each["token"] for each in told["content"]]
        return found

    whole, text = names(), text_of(asked(real, path, temperature=0))
    for at in (1, len(text) // 2, len(text) - 2):
        stop = text[at : at + 2]
        if stream:
            body = APIS[path][0] | {"model": "quickset", "temperature": 0, "stop": [stop],
                                    "stream": True}  # fmt: skip
            body["logprobs"] = True if path.startswith("chat") else 1
            request = urllib.request.Request(
                f"{real.address}/v1/{path}", json.dumps(body).encode(),
                {"Content-Type": "application/json"},
            )  # fmt: skip
            with urllib.request.urlopen(request, timeout=60) as response:
                events = [json.loads(line[6:]) for line in response if line[:7] == b"data: {"]
            parts = [each["choices"][0].get("logprobs") or {} for each in events]
            told = [
                name
                for part in parts
                for name in part.get("tokens") or [e["token"] for e in part.get("content") or []]
            ]
        else:
            told = names(stop=[stop])
        assert told == whole[: len(told)]
        assert len(told) <= len(whole)
        assert text_of(asked(real, path, temperature=0, stop=[stop])) == text[: text.index(stop)]


@pytest.mark.parametrize("path", ["chat/completions", "responses", "messages"])
@pytest.mark.parametrize("end", ["-0", "-1", "-01", "-7", "--1", "-1-1", "-failed", "-beside", "-"])
def test_feedback_is_on_choices_that_there_were(real: Live, path: str, end: str) -> None:
    """A response of one choice has no other name than its own, by any verb."""
    id = asked(real, path)[1]["id"]
    for method, body in (("PUT", {"score": 1}), ("GET", {}), ("DELETE", {})):
        assert asked(real, f"feedback/{id}{end}", method, **body)[0] == 404
    assert asked(real, f"feedback/{id}{end}/link", "POST", expires_in_s=60)[0] == 404
    assert asked(real, f"feedback/{id}", "PUT", score=1)[0] == 200


def test_feedback_on_one_of_several_prompts(real: Live) -> None:
    """Choices are numbered through all prompts of a text completion."""
    id = asked(real, "completions", prompt=["a", "b"], n=2)[1]["id"]
    statuses = [asked(real, f"feedback/{id}-{n}", "PUT", score=-1)[0] for n in (1, 2, 3, 4)]
    assert statuses == [200, 200, 200, 404]


@pytest.mark.parametrize(
    ("seed", "status"),
    [(-1, 200), (-(2**63), 200), (2**63 - 1, 200), (2**63, 400), (-(2**63) - 1, 400), (1.5, 400),
     ("x", 400), (10**400, 400)],
    ids=lambda seed: str(seed)[:12],
)  # fmt: skip
def test_seeds_are_of_64_bits(real: Live, seed: Any, status: int) -> None:
    """Whichever API: each such number seeds, and what is none is refused by its name."""
    for path in ("chat/completions", "completions"):
        told = asked(real, path, seed=seed, temperature=1)
        assert told[0] == status
        if status == 400:
            assert told[1]["error"]["param"] == "seed"
        else:
            assert text_of(asked(real, path, seed=seed, temperature=1)) == text_of(told)


@pytest.mark.parametrize("path", APIS)
@pytest.mark.parametrize("limit", [257, 16_384, 2**31, 2**63, 10**30], ids=str)
def test_limits_over_the_context_are_cut(real: Live, path: str, limit: int) -> None:
    """Agents send their own model's limit; the reply ends where the context does, or before."""
    more: dict[str, Any] = {"temperature": 1, "seed": 3, APIS[path][1]: limit}
    status, body = asked(real, path, "POST", **more)
    assert status == 200, body
    usage = body["usage"]
    tokens = usage.get("completion_tokens", usage.get("output_tokens"))
    assert 0 < tokens < 256


@pytest.mark.parametrize("path", APIS)
@pytest.mark.parametrize("limit", [0, -1, 1.5, "9"])
def test_limits_that_are_none_are_refused_by_name(real: Live, path: str, limit: Any) -> None:
    """Zero tokens is no reply."""
    status, body = asked(real, path, **{APIS[path][1]: limit})
    assert status == 400
    assert APIS[path][1] in body["error"]["message"]


END = "<|im_end|>"
FORMS: dict[str, Any] = {
    "choice": {"structured_outputs": {"choice": [END]}},
    "within": {"structured_outputs": {"choice": [f"a{END}<|im_start|>b"]}},
    "regex": {"structured_outputs": {"regex": r"<\|im_end\|>x"}},
    "grammar": {"structured_outputs": {"grammar": f'start: "{END}" "x"'}},
    "enum": {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {
        "enum": [END]}}}},
    "property": {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {
        "type": "object", "properties": {END: {"const": "<|endoftext|>"}}, "required": [END]}}}},
    "tool": {"tool_choice": "required", "tools": [
        {"type": "function", "function": {"name": END, "parameters": {
            "type": "object", "properties": {}}}}]},
    "argument": {"tool_choice": "required", "tools": [{"type": "function", "function": {
        "name": "f", "parameters": {"type": "object", "properties": {"a": {"const": END}},
                                    "required": ["a"]}}}]},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_form_may_spell_a_control_token(real: Live, form: str) -> None:
    """By letters, as any text: the reply ends where its form does, and no sooner."""
    asks = {"temperature": 0, "max_tokens": 80, **FORMS[form]}
    status, body = asked(real, "chat/completions", **asks)
    assert status == 200, body
    told = json.dumps(body["choices"][0]["message"])
    assert END in told, told

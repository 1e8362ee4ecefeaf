"""What Open WebUI sends, as its backend writes it (0.6: routers/openai.py, utils/task.py).

A person's turn, the chores that follow it, a tool by the model's own calls, and its list of models.
"""

import json
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from tests.clients.live import Live, called

HEADERS = {
    "Authorization": "Bearer none",
    "Content-Type": "application/json",
    "User-Agent": "Python/3.11 aiohttp/3.12.15",
    "X-OpenWebUI-User-Name": "Ann%20Lee",
    "X-OpenWebUI-User-Id": "8d967d73-99b8-40ff-ac3b-c71ac19e1286",
    "X-OpenWebUI-User-Email": "ann@example.org",
    "X-OpenWebUI-User-Role": "user",
    "X-OpenWebUI-Chat-Id": "f0f8d8d5-5c6e-4b0c-b6a9-0d3c3f3a2c51",
    "X-OpenWebUI-Message-Id": "0b8fd1f9-4f0e-4f7c-92d5-9b1e7f1c3a77",
}
ASKED: list[dict[str, Any]] = [{"role": "user", "content": "Hi there"}]
SAID = [*ASKED, {"role": "assistant", "content": "Hello, world!"}]
TITLE = """### Task:
Generate a concise, 3-5 word title with an emoji summarizing the chat history.
### Guidelines:
- The title should clearly represent the main theme or subject of the conversation.
- Your entire response must consist solely of the JSON object, without any introductory text.
### Output:
JSON format: { "title": "your concise title here" }
### Chat History:
<chat_history>
USER: Hi there
ASSISTANT: Hello, world!
</chat_history>"""
FOLLOW_UPS = """### Task:
Suggest 3-5 relevant follow-up questions or prompts that the user might naturally ask next in this \
conversation as a **user**, based on the chat history, to help continue or deepen the discussion.
### Output:
JSON format: { "follow_ups": ["Question 1?", "Question 2?"] }
### Chat History:
<chat_history>
USER: Hi there
ASSISTANT: Hello, world!
</chat_history>"""
TAGS = """### Task:
Generate 1-3 broad tags categorizing the main themes of the chat history, along with 1-3 more \
specific subtopic tags.
### Output:
JSON format: { "tags": ["tag1", "tag2"] }
### Chat History:
<chat_history>
USER: Hi there
ASSISTANT: Hello, world!
</chat_history>"""
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather", "description": "The weather now.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}},
                       "required": ["city"]},
    },
}  # fmt: skip


def tried(what: str) -> pytest.MarkDecorator:
    return pytest.mark.client("Open WebUI", what, apart=True)


@pytest.fixture(autouse=True)
def _version(record_property: Callable[[str, Any], None]) -> None:
    record_property("versions", {"Open WebUI": "0.6"})


def send(api: Live, **body: Any) -> Any:
    """Send a request for a reply: the whole, or the chunks of a stream before its mark."""
    request = urllib.request.Request(
        f"{api.address}/v1/chat/completions",
        json.dumps({"model": "quickset"} | body).encode(), HEADERS,
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=60) as response:
        text = response.read().decode()
    if not body["stream"]:
        return json.loads(text)
    *chunks, mark = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert mark == "[DONE]"
    return [json.loads(chunk) for chunk in chunks]


def purposes(api: Live) -> dict[str, int]:
    """How many turns were recorded, by their purpose."""
    with urllib.request.urlopen(f"{api.address}/metrics") as response:
        lines = response.read().decode().splitlines()
    counted: dict[str, int] = {}
    for line in lines:
        if line.startswith("quickset_turns_total{"):
            purpose = line.split('purpose="')[1].split('"')[0]
            counted[purpose] = counted.get(purpose, 0) + int(float(line.split()[-1]))
    return counted


@tried("a turn and its next one, streamed, with the page's own parameters")
def test_a_turn(api: Live) -> None:
    """What it may send along: usage, sampling, stop strings; each of the person's settings."""
    extra = {"temperature": 0.8, "top_p": 0.9, "max_tokens": 128, "seed": 0, "stop": ["###"],
             "frequency_penalty": 0, "presence_penalty": 0, "logit_bias": {"5": 0},
             "stream_options": {"include_usage": True}}  # fmt: skip
    more = [*SAID, {"role": "user", "content": [{"type": "text", "text": "And then?"}]}]
    for messages in (ASKED, more):
        chunks = send(api, stream=True, messages=messages, **extra)
        deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
        assert "".join(delta.get("content", "") for delta in deltas) == "Hello, world!"
        assert chunks[-1]["usage"]["total_tokens"] > 0


@tried("its chores: title, tags and follow-ups, which teach nothing")
def test_chores(api: Live) -> None:
    """They are answered, and recorded as what they are."""
    before = purposes(api).get("chore", 0)
    for prompt in (TITLE, TAGS, FOLLOW_UPS):
        made = send(
            api, stream=False, max_completion_tokens=1000,
            messages=[{"role": "user", "content": prompt}],
        )  # fmt: skip
        assert made["choices"][0]["message"]["content"] == "Hello, world!"
    assert purposes(api)["chore"] - before == 3


@tried("a tool by the model's own calls, streamed, and its result answered")
def test_a_tool(api: Live) -> None:
    """Its middleware gathers a call's pieces by their index, and sends the result back."""
    api.play(called("weather", city="Oslo"))
    calls: dict[int, dict[str, str]] = {}
    for chunk in send(api, stream=True, messages=ASKED, tools=[WEATHER]):
        for call in chunk["choices"][0]["delta"].get("tool_calls", []):
            known = calls.setdefault(call["index"], {"id": "", "name": "", "arguments": ""})
            known["id"] += call.get("id", "")
            known["name"] += call["function"].get("name", "")
            known["arguments"] += call["function"]["arguments"]
    assert [call["name"] for call in calls.values()] == ["weather"]
    assert json.loads(calls[0]["arguments"]) == {"city": "Oslo"}
    made = {"id": calls[0]["id"], "type": "function", "index": 0,
            "function": {"name": "weather", "arguments": calls[0]["arguments"]}}  # fmt: skip
    api.play(["It is ", "sunny."])
    chunks = send(
        api, stream=True, tools=[WEATHER],
        messages=[*ASKED, {"role": "assistant", "content": "", "tool_calls": [made]},
                  {"role": "tool", "tool_call_id": calls[0]["id"], "content": "sunny"}],
    )  # fmt: skip
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert text == "It is sunny."


@tried("its list of models")
def test_models(api: Live) -> None:
    """What it offers to choose from."""
    request = urllib.request.Request(f"{api.address}/v1/models", headers=HEADERS)
    with urllib.request.urlopen(request) as response:
        listed = json.load(response)
    assert [each["id"] for each in listed["data"]] == ["quickset", "quickset@stable"]

"""Finds tool calls in a reply while it is being sampled, in the form that Hermes models write them:

    <tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>

A list of such objects in one pair of tags (SmolLM2) is as many calls. What is not a call stays
text: broken JSON, or a tag that never closes, is handed on exactly as it was sampled. Text that may
still turn out to be a tag is held back until that is known, so nothing is sent that must be unsaid.

Knows nothing of tokens, HTTP or which tools there are.
"""

import json
from dataclasses import dataclass
from typing import Any

OPEN, CLOSE = "<tool_call>", "</tool_call>"
# Some tokenizers have the tags as special tokens, which are text only where calls are looked for.
TAGS = frozenset({OPEN, CLOSE})


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool, as the model wrote it."""

    name: str
    arguments: str  # JSON


class CallFinder:
    """Splits a growing reply into text and calls."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self._held = ""

    def feed(self, text: str) -> list[str | Call]:
        """Take the next piece of the reply, and return what is certain by now, in order."""
        self._held += text
        found: list[str | Call] = []
        while (start := self._held.find(OPEN)) >= 0:
            end = self._held.find(CLOSE, start)
            if end < 0:
                return found + self._take(start)
            end += len(CLOSE)
            found += self._take(start)
            whole = self._held[: end - start]
            self._held = self._held[len(whole) :]
            found += read_calls(whole[len(OPEN) : -len(CLOSE)]) or [whole]
        return found + self._take(len(self._held) - _overlap(self._held, OPEN))

    def finish(self) -> list[str | Call]:
        """Return what was held back, now that nothing more comes; an unclosed call may be whole."""
        held, self._held = self._held, ""
        calls = read_calls(held[len(OPEN) :]) if held.startswith(OPEN) else []
        return [*calls] or ([held] if held else [])

    def _take(self, size: int) -> list[str | Call]:
        certain, self._held = self._held[:size], self._held[size:]
        return [certain] if certain else []


def read_calls(text: str) -> list[Call]:
    """Read the JSON between a pair of tags; [] when it is no call.

    >>> read_calls(' {"name": "f", "arguments": {"x": 1}} ')
    [Call(name='f', arguments='{"x": 1}')]
    >>> read_calls("not JSON")
    []
    """
    value = _plain_json(text)
    calls: list[Call] = []
    for item in value if isinstance(value, list) else [value]:
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str) or not name:
            return []
        arguments = item.get("arguments", item.get("parameters"))
        if not isinstance(arguments, str) or _plain_json(arguments) is None:
            arguments = json.dumps(arguments or {}, ensure_ascii=False)
        calls.append(Call(name, arguments))
    return calls


def _plain_json(text: str) -> Any:
    """Read JSON that can be written again: finite, whole characters; None when it is not."""
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    return value


def _overlap(text: str, tag: str) -> int:
    """The number of the text's last characters that may be the beginning of the tag."""
    sizes = range(min(len(text), len(tag) - 1), 0, -1)
    return next((size for size in sizes if text.endswith(tag[:size])), 0)

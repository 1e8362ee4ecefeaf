"""Gathers one choice of a response while it is sampled: text, tool calls, tokens, why it ended.

What is streamed, joined, is exactly the message that is recorded: so the client that sends it back
is recognised by the hash chain.

Knows nothing of HTTP, and of OpenAI's API only what a message looks like.
"""

import secrets
from typing import Literal

from agent.engine.contract import Token
from agent.tools.calls import Call, CallFinder
from streams.records import Json, Message

FinishReason = Literal["stop", "length", "tool_calls", "cancelled"]


class Reply:
    """One choice, growing."""

    def __init__(self, *, tools: bool, parallel: bool = True) -> None:
        """Start empty.

        tools: look for tool calls in the text
        parallel: False keeps the first call only
        """
        self.tokens: list[Token] = []
        self.finish_reason: FinishReason | None = None
        self.calls: list[Json] = []
        self._texts: list[str] = []
        self._finder = CallFinder() if tools else None
        self._parallel = parallel

    @property
    def version(self) -> str | None:
        """The version that sampled it; None before the first token."""
        return self.tokens[0].version if self.tokens else None

    def add(self, token: Token) -> list[Json]:
        """Take a token, and give the deltas that became certain by it."""
        self.tokens.append(token)
        if self._finder is None:
            return self._take([token.text] if token.text else [])
        return self._take(self._finder.feed(token.text))

    def finish(self, reason: Literal["stop", "length", "cancelled"]) -> list[Json]:
        """End the reply, and give the deltas that were held back."""
        deltas = self._take(self._finder.finish()) if self._finder else []
        self.finish_reason = "tool_calls" if self.calls and reason == "stop" else reason
        return deltas

    def message(self) -> Message:
        """Give the reply as a message."""
        text = "".join(self._texts)
        return Message(
            role="assistant",
            content=None if self.calls and not text.strip() else text,
            tool_calls=self.calls or None,
        )

    def _take(self, pieces: list[str | Call]) -> list[Json]:
        deltas: list[Json] = []
        for piece in pieces:
            if isinstance(piece, str):
                self._texts.append(piece)
                deltas.append({"content": piece})
            elif self._parallel or not self.calls:
                call = {
                    "id": f"call_{secrets.token_hex(12)}",
                    "type": "function",
                    "function": {"name": piece.name, "arguments": piece.arguments},
                }
                deltas.append({"tool_calls": [{"index": len(self.calls), **call}]})
                self.calls.append(call)
        return deltas

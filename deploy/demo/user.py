"""A user with a preference: short answers, please. Talks to a service over its HTTP API only.

Corrects a reply that is too long and praises one that is short, in the words that a person would
use; says nothing of scores, and sends nothing that an ordinary client does not send.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from deploy.errors import DemoError

# A sentence of a news text has about twenty words. More, or no end, and the user complains.
MOST_WORDS: Final = 25
WISH: Final = "Answer in one short sentence only."
CORRECTION: Final = f"Too long. {WISH}"
# What is shorter is no answer, whatever its length: an empty reply, a heading, a lone word.
LEAST_WORDS: Final = 3
_ENDS: Final = (".", "!", "?")
ASK_AGAIN: Final = "That is no answer. Answer in one short sentence."
PRAISE: Final = "Perfect, thanks!"

# Replies in a conversation: long enough to be too long, short enough not to be waited for.
CHAT_TOKENS: Final = 64
# Replies to what is only measured are cut later, so that their length shows.
TEST_TOKENS: Final = 96

# A reply on a busy machine takes seconds; one that takes minutes never comes.
_ANSWER_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Prompts:
    """What the user asks; no prompt is in both."""

    training: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a service said."""

    text: str
    ended: bool  # false: it was cut at the token limit
    version: str

    @property
    def num_words(self) -> int:
        """Its length in words."""
        return len(self.text.split())

    @property
    def pleases(self) -> bool:
        """Tell whether it is what the user likes: short, and a finished sentence."""
        return self.ended and self.answers and self.num_words <= MOST_WORDS

    @property
    def answers(self) -> bool:
        """Tell whether it says anything: some words, which end as a sentence does unless cut."""
        finished = not self.ended or self.text.rstrip().rstrip("\"')*").endswith(_ENDS)
        return finished and self.num_words >= LEAST_WORDS

    @property
    def reaction(self) -> str:
        """What the user says to it."""
        if self.pleases:
            return PRAISE
        return CORRECTION if self.answers else ASK_AGAIN


def load_prompts() -> Prompts:
    """Read the prompts that the repository carries.

    >>> prompts = load_prompts()
    >>> set(prompts.training) & set(prompts.test)
    set()
    """
    found = json.loads((Path(__file__).parent / "prompts.json").read_text("utf-8"))
    return Prompts(tuple(found["training"]), tuple(found["test"]))


class User:
    """The scripted user of one service."""

    def __init__(self, client: aiohttp.ClientSession, api: str) -> None:
        """api: address of the service's API, up to and including /v1."""
        self._client, self._api = client, api

    async def converse(self, prompt: str) -> bool:
        """Ask, and react to the answer; tells whether it pleased.

        raises: DemoError when the service does not answer
        """
        asked = [{"role": "user", "content": prompt}]
        reply = await self._complete(asked, max_tokens=CHAT_TOKENS)
        said = {"role": "assistant", "content": reply.text}
        followed = [*asked, said, {"role": "user", "content": reply.reaction}]
        await self._complete(followed, max_tokens=CHAT_TOKENS)
        return reply.pleases

    async def examine(self, prompts: Sequence[str]) -> list[Reply]:
        """Ask without being learned from, always in the same way: for measuring.

        raises: DemoError when the service does not answer
        """
        asked = [
            self._complete(
                [{"role": "user", "content": prompt}],
                max_tokens=TEST_TOKENS,
                headers={"X-Learn": "off"},
                temperature=0,
            )
            for prompt in prompts
        ]
        return await asyncio.gather(*asked)

    async def serving(self) -> str:
        """Say which version answers now."""
        models = await self._call("GET", "/models")
        version: str = models["data"][0]["version"]
        return version

    async def _complete(
        self,
        messages: Sequence[dict[str, str]],
        *,
        max_tokens: int,
        headers: dict[str, str] | None = None,
        **sampling: float,
    ) -> Reply:
        body = {"model": "quickset", "messages": messages, "max_tokens": max_tokens, **sampling}
        answer = await self._call("POST", "/chat/completions", body, headers)
        choice = answer["choices"][0]
        return Reply(
            text=choice["message"]["content"] or "",
            ended=choice["finish_reason"] == "stop",
            version=answer["system_fingerprint"],
        )

    async def _call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
        address = f"{self._api}{path}"
        try:
            async with self._client.request(
                method, address, json=body, headers=headers, timeout=timeout
            ) as answer:
                told = await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as cause:
            raise DemoError(f"the service at {address} does not answer: {cause!r}") from cause
        if answer.status != 200:
            raise DemoError(f"the service at {address} refused ({answer.status}): {told}")
        return told

"""People of a town who chat with an agent and rate each reply, told apart by their API keys.

What a person thinks of a reply is read off its text: an apology displeases everybody; a reply that
does not come to its end within what was asked for displeases one of ten; all others please.
"""

import hashlib
import itertools
import json
import re
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

PEOPLE: Final = tuple(f"person-{number}" for number in range(120))
ASKED: Final = (
    "What is the capital of Italy?", "How do I cook rice?", "Tell me a story about a dog.",
    "What is photosynthesis?", "Who wrote Hamlet?", "How do birds find their way?",
    "What is a good way to learn English?", "Why do leaves fall in autumn?", "What is gravity?",
    "How do I plant a tree?", "Name three rivers in Europe.", "What does a baker do?",
)  # fmt: skip
MAX_TOKENS: Final = 24
_APOLOGY: Final = re.compile(r"apologi[sz]e|sorry", re.IGNORECASE)


def keys() -> dict[str, str]:
    """Return name → hash of everybody's API key, which is the name."""
    return {name: hashlib.sha256(name.encode()).hexdigest() for name in PEOPLE}


@dataclass(frozen=True, slots=True)
class Said:
    """One reply, and what was thought of it; seconds of a monotonic clock."""

    asked: str
    version: str
    text: str
    score: int
    began_s: float
    ended_s: float


class Town:
    """Its people, who come again and again, each time in a session of their own."""

    def __init__(self, api: str, *, temperature: float = 0.3) -> None:
        """Nobody has come yet. api: the agent's address; temperature: of the replies."""
        self._api, self._temperature = api, temperature
        self._visits = itertools.count()
        self._lock = threading.Lock()
        self.said: list[Said] = []

    def visit(self, *, hint: str | None = None) -> Said:
        """Let the next person ask something, and rate the reply.

        hint: what the reply should have done; without one a reply that is cut teaches nothing
        """
        with self._lock:
            number = next(self._visits)
        person, asked = PEOPLE[number % len(PEOPLE)], ASKED[number % len(ASKED)]
        began_s = time.monotonic()
        answer, version = self.post(
            "chat/completions", person, f"visit-{number}",
            {"model": "quickset", "max_tokens": MAX_TOKENS, "seed": number,
             "temperature": self._temperature,
             "messages": [{"role": "user", "content": asked}]},
        )  # fmt: skip
        ended_s = time.monotonic()
        choice = answer["choices"][0]
        text = choice["message"]["content"] or ""
        score = thought(text, choice["finish_reason"], number % len(PEOPLE))
        given = {"score": score} if hint is None else {"score": -1, "hint": hint}
        self._send("PUT", f"feedback/{answer['id']}", person, {}, given)
        said = Said(asked, version, text, score, began_s, ended_s)
        with self._lock:
            self.said.append(said)
        return said

    def post(
        self, path: str, person: str, session: str, body: dict[str, Any]
    ) -> tuple[dict[str, Any], str]:
        """Ask the agent something; return its answer and the version that gave it."""
        return self._send("POST", path, person, {"X-Session-Id": session}, body)

    def _send(
        self, method: str, path: str, person: str, headers: dict[str, str], body: dict[str, Any]
    ) -> tuple[dict[str, Any], str]:
        request = urllib.request.Request(
            f"{self._api}/v1/{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {person}", **headers},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer), str(answer.headers["X-Quickset-Version"])

    def scores(self, version: str) -> Counter[int]:
        """Return how often each score was given to a version's replies."""
        return Counter(said.score for said in self.said if said.version == version)


def thought(text: str, finish: str, person: int) -> int:
    """Return what a person thinks of a reply, −1 or 1."""
    if _APOLOGY.search(text[:60]):
        return -1
    return 1 if finish == "stop" or person % 10 else -1


@contextmanager
def busy(steps: Sequence[Callable[[], object]]) -> Iterator[list[BaseException]]:
    """Run each step again and again in a thread of its own; yields what went wrong so far."""
    stop, wrong = threading.Event(), list[BaseException]()

    def run(step: Callable[[], object]) -> None:
        while not stop.is_set():
            try:
                step()
            except BaseException as cause:  # shown by the test
                wrong.append(cause)
                time.sleep(0.1)

    threads = [threading.Thread(target=run, args=(step,), daemon=True) for step in steps]
    for thread in threads:
        thread.start()
    try:
        yield wrong
    finally:
        stop.set()
        for thread in threads:
            thread.join(120)

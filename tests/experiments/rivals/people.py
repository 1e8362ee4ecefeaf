"""Scripted people: what each of them wishes, when a reply pleases them, and what they ask.

A person asks 72 different things, one a session, in an order that the seed chooses. They complain
in the words of their wish, and praise; nothing else is known of them.
"""

import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from deploy.demo.user import load_prompts
from learner.form.directions import directions_of
from learner.form.obeys import missed
from learner.safety.prompts.sets import FOLDER

SESSIONS: Final = 72
# A reply of fewer words says nothing, whatever its form.
LEAST_WORDS: Final = 3
_ITEM: Final = re.compile(r"^[ \t]*(?:[-*•][ \t]+\S|\d{1,2}[.)][ \t]+\S)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with one wish.

    pleased: of a reply's text, and whether it came to its end
    """

    name: str
    wish: str
    likes: Callable[[str, bool], bool]

    def pleased(self, text: str, *, ended: bool) -> bool:
        """Whether a reply says something, in the form that they like."""
        return len(text.split()) >= LEAST_WORDS and self.likes(text, ended)


def _by_rules(wish: str) -> Callable[[str, bool], bool]:
    """Return the rules that the product itself reads from a wish."""
    wished = directions_of(wish)
    assert wished, wish
    return lambda text, ended: not missed(wished, text, given="", ended=ended)


def _person(name: str, wish: str, likes: Callable[[str, bool], bool] | None = None) -> Person:
    return Person(name, wish, likes or _by_rules(wish))


PEOPLE: Final = (
    _person(
        "length", "Answer in one short sentence.",
        lambda text, ended: ended and len(text.split()) <= 25 and text.rstrip()[-1] in ".!?\"'",
    ),
    _person("form", "Answer with a list.", lambda text, _: len(_ITEM.findall(text)) >= 2),
    _person("tone", "Sound excited, with exclamation marks!", lambda text, _: "!" in text),
    _person(
        "address", "Start with the words: Dear Ada,",
        lambda text, _: text.lstrip("\"' ").startswith("Dear Ada"),
    ),
    _person("language", "Please answer in German."),
    _person(
        "closing question", "End your answer with a question.",
        lambda text, ended: ended and text.rstrip("\"' \n").endswith("?"),
    ),
)  # fmt: skip


def requests(seed: int, num: int = SESSIONS) -> Sequence[str]:
    """Return what a person asks, no request twice, in the seed's order."""
    items = json.loads((FOLDER / "benign.json").read_text("utf-8"))["items"]
    asked = [*load_prompts().training, *(item["phrasings"][0] for item in items)]
    random.Random(seed).shuffle(asked)
    return list(dict.fromkeys(asked))[:num]

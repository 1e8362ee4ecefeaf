"""Tells a clause that says what a person does not want: no more help, or no shorter reply.

"No further help needed" has the words of a complaint ("no help"), and says nothing of the reply.
All its words must be such words (phrases/declining.toml), with a need, a no and help among them, so
that whatever else it says is read on. "Don't make it shorter" has the words of a wish, and says the
opposite: which words a no is about, and which no is against them, is phrases/denied.toml's.

Knows nothing of other kinds of clauses.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from learner.judges.acts.kinds import Found
from learner.judges.acts.language import language_of
from learner.judges.acts.lexicon import CJK, LATIN, PHRASES, Word
from learner.judges.acts.part import SHAPES, Part
from learner.judges.reading.text import is_cjk, tokens
from learner.judges.reading.traditional import traditional

# The lists of a language: what denies, and what is said beside it.
_Said = Mapping[str, tuple[str, ...]]
# So far before a wish may the no stand that denies it, and one strange word between ("acortes").
NO_WITHIN: Final = 8
MOST_STRANGE: Final = 1
# What stands between them, if anything does; what else is said there is what the no is about.
_BETWEEN: Final = frozenset(
    {"filler", "reply", "do", "you", "me", "mild", "want", "not", "stop", "heed", "brief", "more",
     "plain"}
)  # fmt: skip


def declines(part: Part) -> Found:
    """ "I don't need any more help": it is over, whatever the reply was like."""
    if part.asks or not part.words:
        return None
    text = " ".join(word.text for word in part.words)
    if part.eastern:
        whole = re.sub(r"\W", "", text)
        found = any(pattern.fullmatch(whole) for pattern in _patterns())
    else:
        found = any(words.decline(text.split()) for words in _listed())
    return ("declined", "declines help") if found else None


@dataclass(frozen=True, slots=True)
class _Words:
    """One language's words, each in one token."""

    no: frozenset[str]
    need: frozenset[str]
    help: frozenset[str]
    filler: frozenset[str]
    me: frozenset[str]  # a no before it is an answer: "no I need help"

    def decline(self, said: list[str]) -> bool:
        """Tell whether it is made of these words, and says that none is needed."""
        if len(said) > 1 and said[0] in self.no and said[1] in self.me:
            said = said[1:]
        among = set(said)
        needed = (self.no, self.need, self.help)
        return all(among & words for words in needed) and among <= self.filler.union(*needed)


@cache
def _listed() -> tuple[_Words, ...]:
    data = _data()
    names = ("no", "need", "help", "filler", "me")
    return tuple(
        _Words(**{name: frozenset(tokens(data[language].get(name, ""))) for name in names})
        for language in LATIN
    )


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    patterns = [_data()[language]["whole"] for language in CJK]
    return tuple(re.compile(each) for each in (*patterns, "".join(traditional(tuple(patterns[0])))))


@cache
def _data() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads((PHRASES / "declining.toml").read_text(encoding="utf-8"))


def denies_a_wish(part: Part) -> Found:
    """ "Please don't make it shorter", "it couldn't be simpler": what others wish, denied."""
    usual = _usual(part)
    if usual and not part.asks and all(_stance(part, place) == "denied" for place in usual):
        return "denied", "denies a wish"
    return None


def wished_in(part: Part) -> frozenset[str]:
    """Return the classes of the shapes that are asked for: "not longer" asks for nothing longer."""
    asked = (part.words[at].classes for at in _usual(part) if _stance(part, at) == "asked")
    return frozenset[str]().union(*asked)


def compared_in(part: Part) -> list[int]:
    """Return where something is compared: "shorter", "más corto", and not "in one sentence"."""
    more = _said(part)["more"] if part.has("comp") else ()
    return [
        at
        for at, word in enumerate(part.words)
        if "comp" in word.classes
        and (part.eastern or " " not in word.text or _told((word,)).startswith(more))
    ]


def is_about(before: Part, part: Part) -> bool:
    """Tell whether a no is about the clause behind it: "ich will nicht, dass du kürzer bist"."""
    shaped = part.has(*SHAPES) or _usual(part)
    if not shaped or len(before.words) < 2 or before.has("good", "fault", "thanks"):
        return False
    said = _said(part)
    return _told(part.words[:1]) in said["that"] and _is_no(before.words[-1], said)


def _usual(part: Part) -> list[int]:
    """Where shapes stand that people wish: most of them, and what is compared ("more formal")."""
    said = _said(part) if part.has("not", "stop", "deny") else None
    return [at for at, word in enumerate(part.words) if _is_usual(word, said)]


def _is_usual(word: Word, said: _Said | None) -> bool:
    if word.classes & {"brief", "more", "plain"} or {"comp", "tone"} <= word.classes:
        return True
    if said is None:
        return False
    told = _told((word,))
    compared = "comp" in word.classes and told.startswith(said["more"])
    return compared or told in said["shapes"]


def _stance(part: Part, place: int) -> Literal["asked", "denied", "disliked"]:
    """Tell whether a shape is asked for, or a no is against it, or what is disliked is denied."""
    if not part.has("not", "stop", "deny"):
        return "asked"
    said = _said(part)
    no = _no_before(part, place, said)
    before, behind = part.words[:place], part.words[place + 1 :]
    if no is None:
        return "denied" if _no_behind(part, place, said) else "asked"
    if _told(before).endswith(said["degree"]):
        return "disliked"
    measured = any(word.classes & {"number", "form", "comp"} for word in behind)
    if measured and _has(behind[:1], said["than"]):
        return "disliked"
    if "stop" not in part.words[no].classes and part.clause.question:
        return "asked"
    between = part.words[max(0, no - 3) : place + 1]
    needless = _has(part.words, said["need"])
    if _has(part.words, said["asks"]) or (_has(between, said["states"]) and not needless):
        return "asked"
    return "denied"


def _no_before(part: Part, place: int, said: _Said) -> int | None:
    """Where the no stands that is about what stands at a place."""
    strange = 0
    for at in range(place - 1, max(-1, place - NO_WITHIN), -1):
        word = part.words[at]
        if at == 0 and part.answers_no:
            return None
        if _is_no(word, said) or (at == place - 1 and _told((word,)) in said["beside"]):
            return at
        strange += not word.known
        if strange > MOST_STRANGE or _parts(part, at, place, said):
            return None
    return None


def _parts(part: Part, at: int, place: int, said: _Said) -> bool:
    """Tell whether a word parts a shape from the no before it, which is about something else."""
    word = part.words[at]
    told = _told((word,))
    if told in said["and"]:
        return not at or not _is_usual(part.words[at - 1], said)
    named = "form" in word.classes and not word.classes & {"reply", "you", "me", "filler"}
    other = "good" in word.classes or not word.classes & _BETWEEN
    graded = at < place - 1 and told in said["degree"] and told not in said["that"]
    return (word.known and (named or other)) or graded or _has((word,), said["anew"])


def _no_behind(part: Part, place: int, said: _Said) -> bool:
    """Tell whether the clause says no more of a shape than that it need not be."""
    behind = list(part.words[place + 1 :])
    if part.clause.question:
        return False
    if part.eastern:
        return _told(behind).startswith(said["behind"])
    while behind and "want" in behind[-1].classes and "stop" not in behind[-1].classes:
        behind.pop()
    for at, word in enumerate(behind):
        if _told(behind[at:]) in said["behind"]:
            return True
        if not word.classes & {"filler", "reply"}:
            return False
    return False


def _is_no(word: Word, said: _Said) -> bool:
    return bool(word.classes & {"not", "stop", "deny"}) and _has((word,), said["no"])


def _has(words: Sequence[Word], phrases: Sequence[str]) -> bool:
    told = _told(words)
    return any(phrase in told for phrase in phrases)


def _told(words: Sequence[Word]) -> str:
    """Words as a text in which phrases can be found."""
    return _joined(tuple(token for word in words for token in word.text.split()))


def _joined(found: Sequence[str]) -> str:
    """Latin words between spaces, so that a phrase in it begins and ends with a word."""
    if found and is_cjk(found[0][0]):
        return "".join(found)
    return f" {' '.join(found)} "


def _said(part: Part) -> _Said:
    return _denied(language_of(part.reading).name)


@cache
def _denied(language: str) -> _Said:
    """A language's lists of phrases/denied.toml."""
    lists = tomllib.loads((PHRASES / "denied.toml").read_text(encoding="utf-8"))[language]
    return {name: tuple(_phrases(text)) for name, text in lists.items()}


def _phrases(text: str) -> Iterator[str]:
    for entry in text.split(","):
        if found := tokens(entry):
            yield _joined(found)
            yield _joined(traditional(found))

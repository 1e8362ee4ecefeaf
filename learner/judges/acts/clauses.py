"""Tells what each clause of a message is: a complaint, a wish, praise, thanks, or something else.

The rules are the same in every language; what a language's words mean is data (phrases). A rule
asks which classes of words stand in which order, and what the clause is about: a word that no list
has, and that neither question nor reply had, is a topic of its own, and a clause about a topic says
nothing about the reply unless it speaks to the agent outright.

Knows nothing of verdicts, confidence or hints.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from learner.judges.acts.lexicon import CJK, LATIN, Lexicon, lexicon
from learner.judges.acts.part import SHAPES, Part, parts
from learner.judges.reading.reading import Reading
from learner.judges.reading.text import is_cjk, tokens

# People react first and go on afterwards; what stands later in a long message is a topic.
MOST_PARTS: Final = 8
# Of the reply, this much tells the language of a message that is too short to do so.
LANGUAGE_CHARS: Final = 200
LANGUAGE_WEIGHT: Final = 0.3
# So many words has a name ("Ada Mary Weber"), and a shape that stands by itself.
MOST_OF_A_NAME: Final = 3
MOST_OF_A_SHAPE: Final = 5

# denied: a complaint's words, denied · doubt: asks whether it is right · aside: only sounds like
# one of the others · task: something new to do · order: something to do, with this reply or another
# · deny: says no · empty: says nothing yet · other: a statement about something
Kind = Literal["complaint", "wish", "praise", "thanks", "denied", "doubt", "aside", "question",
               "task", "order", "deny", "empty", "other"]  # fmt: skip

_GRADES: Final = ("long", "short", "hard", "stiff", "loose", "grade")
_TOO: Final = {
    "long": "too long",
    "short": "too short",
    "hard": "too complicated",
    "stiff": "too stiff",
    "loose": "too loose",
    "grade": "too much of something",
}
# Wishes with a wording of their own, and the others by what they are about.
_USUAL: Final = {
    "brief": "asks for shorter",
    "more": "asks for more",
    "plain": "asks for simpler words",
}
_WISHED: Final = {
    "lang": "wishes another language",
    "form": "wishes a form",
    "tone": "wishes a tone",
}


def kind_of(part: Part) -> tuple[Kind, str]:
    """Tell what a part is, and by which rule."""
    for rule in _RULES:
        found = rule(part)
        if found is not None:
            return found
    return "other", ""


Found = tuple[Kind, str] | None
_Rule = Callable[[Part], Found]


def _empty(part: Part) -> Found:
    if part.has("thanks", "good", "fault", "up", "down"):
        return None
    if all(word.classes & {"filler", "yes", "deny"} or not word.text[0].isalnum()
           for word in part.words):  # fmt: skip
        denies = any("deny" in word.classes for word in part.words)
        if (denies and not part.has("filler")) or (denies and len(part.words) < 3):
            return "deny", ""
        return None if part.topic or len(part.words) > 3 else ("empty", "")
    return None


def _aside(part: Part) -> Found:
    return ("aside", "") if part.has("aside") else None


def _mocks(part: Part) -> Found:
    return ("complaint", "mocks it") if part.has("mock") and part.topic <= 4 else None


def _doubts(part: Part) -> Found:
    return ("doubt", "") if part.has("doubt") else None


def _denied(part: Part) -> Found:
    """ "Not too long", "nothing wrong": a fault, and a no before it or in one word with it."""
    if any({"too", "not"} <= word.classes for word in part.words):
        return "denied", "denies a fault"
    if (
        part.has("scold", "lost", "want", "quit")
        or part.before("not", "do")
        or not part.leads_to("not", "fault", "too", *_GRADES)
    ):
        return None
    return ("praise", "denies a fault") if part.has("good") else ("denied", "denies a fault")


def _scolds(part: Part) -> Found:
    if not part.has("scold") or part.topic > 3 or part.has("others"):
        return None
    # "the printer doesn't work" is about the printer
    if part.topic == 0 or part.has("you", "reply", "me"):
        return "complaint", "faults the agent"
    return None


def _lost(part: Part) -> Found:
    if not part.has("lost") or part.topic + len(part.shared) > 1 or part.has("others"):
        return None
    # "In English, please" is said of what is in English, and else is a wish
    if part.has("lang") and _language_of(part.reading.reply) not in ("", "en"):
        return None
    # a mere "huh" says it alone, and little beside other words
    if " " in part.words[part.places("lost")[0]].text or len(part.words) == 1 or _cjk(part):
        return "complaint", "too complicated"
    return None


def _language_of(text: str) -> str:
    """Return the language that most words of a text's beginning are of; empty: none is known."""
    context = tokens(text[:LANGUAGE_CHARS])
    known = {name: _known(lexicon(name), context) for name in (*LATIN, *CJK)}
    best = max(known, key=lambda name: known[name])
    return best if known[best] else ""


def _cjk(part: Part) -> bool:
    return is_cjk(part.words[0].text[0])


def _dense(part: Part) -> Found:
    """ "That was hard to follow", where neither question nor reply speaks of what is hard."""
    if part.asks or part.foreign or part.topic:
        return None
    for place in part.places("dense"):
        said = part.words[place].text
        if not part.reading.shared(said.split()[0] if not is_cjk(said[0]) else "难"):
            return "complaint", "too complicated"
    return None


def _too(part: Part) -> Found:
    if part.asks or part.foreign or not part.has("too"):
        return None
    for place in part.places("too"):
        # Japanese says it behind the word
        for word in (*part.words[place + 1 : place + 3], *part.words[max(0, place - 1) : place]):
            for grade in _GRADES:
                if grade in word.classes and part.topic == 0:
                    return "complaint", _TOO[grade]
    if part.clause.announces:
        return None
    last = part.places("too")[-1]
    if last == len(part.words) - 2 and not part.words[-1].known and part.topic <= 1:
        return "complaint", _TOO["grade"]
    return None


def _slips(part: Part) -> Found:
    """ "You forgot …", "you didn't read …"."""
    if part.asks or part.has("want"):
        return None
    # "you missed what I said", but not "you know what I said, I forgot it"
    if part.before("you", "slip", within=1) and part.topic <= 5 and not part.has("others"):
        return "complaint", "faults the agent"
    if part.has("told") and not part.leads_to("you", "not"):
        return None
    if part.before("you", "slip") and part.topic <= 5:
        return "complaint", "faults the agent"
    # "du hast meine Frage nicht beantwortet"
    near = 2 if part.topic else 5
    if part.before("you", "not", within=near) and part.before("not", "heed") and part.topic <= 5:
        return "complaint", "faults the agent"
    return None


def _lacks(part: Part) -> Found:
    """ "That's not right", "doesn't work"."""
    if part.asks or part.foreign or part.topic > 1 or part.has("want"):
        return None
    if part.has("me") and not part.has("reply", "you"):
        return None
    if part.before("not", "able", "good"):
        return "complaint", "says it is wrong"
    return None


def _told(part: Part) -> Found:
    """ "I asked for the 2023 one", where the question did; "no, I meant the river"."""
    if part.asks or part.has("others") or not part.before("me", "told"):
        return None
    told = part.places("told")[0]
    if any(place > told for place in part.places("not")) and part.topic <= 4:
        return "complaint", "says what was asked"
    if "deny" in part.opens and part.topic <= 4:
        return "complaint", "says what was asked"
    if any(part.reading.asked_about(run) for run in part.shared) and part.topic <= 3:
        return "complaint", "says what was asked"
    # "I wanted a list", "I only wanted the text"
    if part.topic <= 1 and part.has(*SHAPES, "reply", "number") and not part.has("you"):
        return "complaint", "wanted something else"
    return None


def _faulty(part: Part) -> Found:
    if part.asks or part.foreign or not part.has("fault"):
        return None
    if part.has("me") and not part.has("reply", "you"):
        return None
    # "find the mistakes in this sentence"
    if part.opens & {"task", "do"} and not part.has("you"):
        return None
    if part.topic == 0:
        return "complaint", "says it is wrong"
    # "your date is wrong" is about the reply, "it is wrong to steal" is not
    about_reply = any(place <= 1 for place in part.places("reply", "you"))
    named = any(not word.known for word in part.words[: part.places("fault")[0]])
    if part.topic == 1 and about_reply and named:
        return "complaint", "says it is wrong"
    return None


def _corrects(part: Part) -> Found:
    """ "Not Rachel", "there is no such entry": a no before what the reply says."""
    if part.asks or part.foreign or part.has("me", "want") or part.topic > 2:
        return None
    # "no its 1889", where the reply does not say so; "no 5" may be a number
    right = [word.text for word in part.words if "number" in word.classes and len(word.text) > 2]
    denied = part.leads_to("deny", "number") and part.topic == 0 and bool(right)
    if denied and not part.reading.replied_about(right[-1]):
        return "complaint", "corrects it"
    for place in part.places("not"):
        for word in part.words[place + 1 : place + 5]:
            named = not word.known or "number" in word.classes
            of_reply = part.reading.replied_about(word.text)
            if named and of_reply and not part.reading.asked_about(word.text):
                return "complaint", "corrects it"
    return None


def _named(part: Part) -> Found:
    """ "Call me Ada", "sign it with Ada": behind the words stands nothing but a name."""
    if part.asks and not part.has("want"):
        return None
    for place in part.places("naming"):
        behind, before = part.words[place + 1 :], part.words[:place]
        name = list(before if _cjk(part) and not behind else behind)
        while name and name[-1].classes & {"want", "filler"} and len(name) > 1:
            name.pop()
        strange = [word for word in name if not word.classes - {"want", "grade"}]
        asked = all(word.classes & {"want", "filler", "stop", "yes", "deny"} for word in before)
        if name and len(strange) == len(name) <= MOST_OF_A_NAME and (asked or name == list(before)):
            return "wish", "wishes a name"
    return None


def _quits(part: Part) -> Found:
    """ "Stop saying 'hereby'", "no uses tantas palabras": a way of speaking that should end."""
    places = part.places("quit")
    if not places or part.asks or part.foreign or part.topic > 1:
        return None
    before = part.words[: places[0]]
    if _cjk(part) or all(word.classes & {"filler", "want", "yes", "you"} for word in before):
        return "wish", "forbids a manner"
    return None


def _wishes(part: Part) -> Found:
    """How replies should be: shorter, as a list, without emojis, ending with a question."""
    if part.topic == 0 and not part.asks and not part.has("others", "mine", "told", "not"):
        # "with an example", "as a table, please"
        first = next((word for word in part.words if word.classes != {"filler"}), None)
        bare = len(part.words) <= MOST_OF_A_SHAPE and not part.shared and part.has("form")
        if bare and first is not None and "as" in first.classes:
            return "wish", _wished(part)
    if part.has("comp") and part.topic == 0 and not part.has("me", "ask", "mine", "others"):
        return "wish", _wished(part)
    if not part.has(*SHAPES) or part.asks or part.has("told"):
        return None
    if part.has("mine", "others", "ask") and not part.has("want"):
        return None
    if part.has("task") and not part.has("comp"):
        return None
    begins = part.places("do", "want", "stop")
    # "explain gravity in one sentence" is a task, "call me Sam" is not
    most = 1 if part.has("want", "stop", "me") else 0
    early = bool(begins) and begins[0] <= 2 and part.topic <= most
    # "funny" alone is praise, "make it funny" is not
    if part.has("good") and not ("do" in part.opens and part.has("tone") and part.has("reply")):
        early = False
    if part.before("stop", "form", "tone", "do", within=5) and part.topic <= 1:
        return "wish", "forbids a manner"
    if early or (part.has("lang") and part.topic == 0 and len(part.words) <= 3):
        return "wish", _wished(part)
    return None


def _wished(part: Part) -> str:
    """The name of what is wished; where the words name nothing more, their three usual ones."""
    if not part.has("form", "lang") or part.topic == 0 == len(part.places("form")):
        for name, rule in _USUAL.items():
            if part.has(name):
                return rule
    for name, rule in _WISHED.items():
        if part.has(name):
            return rule
    return "wishes it otherwise"


def _praises(part: Part) -> Found:
    if part.asks or part.has("others", "mine", "not") or "task" in part.opens:
        return None
    if part.has("good") and part.topic == 0:
        return "praise", "praises it"
    if part.has("love") and part.has("reply") and part.topic == 0:
        return "praise", "praises it"
    return None


def _thanks(part: Part) -> Found:
    if not part.has("thanks") or part.asks or part.has("others"):
        return None
    if part.topic == 0 or (part.topic <= 3 and part.places("thanks")[0] <= 1):
        return "thanks", "thanks"
    return None


def _goes_on(part: Part) -> Found:
    if part.asks:
        return "question", ""
    begins = next((w for w in part.words if w.classes != {"filler"}), None)
    if begins is not None and "task" in begins.classes:
        return "task", ""
    if begins is not None and "do" in begins.classes:
        return "order", ""
    if begins is not None and "want" in begins.classes:
        return ("order", "") if part.topic or part.shared or part.has("do") else ("empty", "")
    return None


_RULES: Final[tuple[_Rule, ...]] = (
    _aside, _mocks, _doubts, _denied, _scolds, _lost, _dense, _too, _slips, _lacks, _told, _faulty,
    _corrects, _named, _quits, _wishes, _praises, _thanks, _empty, _goes_on,
)  # fmt: skip


@dataclass(frozen=True)
class Told:
    """A part of the message, and what it is."""

    kind: Kind
    rule: str
    part: Part

    @property
    def is_topic(self) -> bool:
        """True when the message has gone on to something else here."""
        if self.kind == "other":
            return bool(self.part.topic or self.part.shared)
        return self.kind in ("question", "task", "order", "aside")


@lru_cache(maxsize=256)  # judges ask one after the other
def heard_parts(reading: Reading) -> tuple[Told, ...]:
    """Return the message's first parts; none behind a colon, where somebody else's text begins."""
    words = language_of(reading)
    found: list[Told] = []
    begun: Part | None = None
    for clause in reading.clauses:
        for part in parts(clause, words, reading):
            whole = part if begun is None else begun.joined(part)
            begun = whole if whole.begins else None
            if begun is None or clause is reading.clauses[-1] or clause.announces:
                found.append(Told(*kind_of(whole), whole))
                begun = None
        if clause.announces and found and found[-1].kind not in ("complaint", "empty", "deny"):
            found.append(Told("task", "", found[-1].part))
            break
        if len(found) >= MOST_PARTS:
            break
    return tuple(found)


def language_of(reading: Reading) -> Lexicon:
    """Return the language that knows most of a message's words; the reply's, where several do."""
    said = [token for clause in reading.clauses for token in clause.tokens]
    eastern = sum(map(is_cjk, said)) * 3 > len(said)
    context = tokens(reading.reply[:LANGUAGE_CHARS])

    def fit(name: str) -> float:
        words = lexicon(name)
        return _known(words, said) + LANGUAGE_WEIGHT * _known(words, context)

    return lexicon(max(CJK if eastern else LATIN, key=fit))


def _known(words: Lexicon, found: Sequence[str]) -> float:
    marked = words.words(found)
    total = sum(len(word.text) for word in marked)
    return sum(len(word.text) for word in marked if word.known) / total if total else 0.0


def says_nothing_else(reading: Reading) -> bool:
    """Tell whether a message is courtesy, complaint and wish alone: as plain as words can be."""
    plain = ("complaint", "wish", "praise", "thanks", "deny", "empty")
    return all(told.kind in plain and not told.part.topic for told in heard_parts(reading))

"""Tells what a whole message says of the reply, by what each of its clauses is.

No verdict is better than a wrong one: praise with anything behind it that is not understood is
none, and a wish in front of a new question is for the next reply.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from learner.judges.acts.clauses import Told, heard_parts
from learner.judges.acts.kinds import Kind
from learner.judges.acts.language import language_of
from learner.judges.acts.part import SHAPES
from learner.judges.acts.wishing import usual_of
from learner.judges.acts.wording import OWN_WORDING, TELLING, hint_for
from learner.judges.reading.reading import Reading
from learner.judges.reading.text import COVER, tokens

# How sure a reading is that has no verdict.
NO_VERDICT: Final = 0.2
# "Yes", "more" and "go on" are often said twice.
FEWEST_TOKENS: Final = 3
# Behind courtesy, a question this short says what the reply left out as often as something new.
FEWEST_WORDS: Final = 5
# What stands behind a complaint and has more words of its own is about something else.
MOST_BEHIND: Final = 3
# An order for everybody and for ever is no correction of this reply (tests/attacks/people.json).
_FOR_EVER: Final = re.compile(
    r"\b(every|everybody|everyone|each|all|always|whatever|jede[rnms]?|alle[rnms]?|immer|chaque"
    r"|tous|toute?s?|toujours|cada|tod[oa]s?|siempre|sempre|ogni|tutt[eio])\b"
    r"|すべて|全て|いつも|毎回|每|所有|总是|永远",
    re.IGNORECASE,
)
# Complaints that speak of the agent or of the reply's form outright: they count behind a story.
FIRM: Final = TELLING | {"mocks it", *OWN_WORDING}
# "Very useful, really…": people trail off where they don't mean it.
_TRAILS: Final = re.compile(r"(?:…|\.{3,})\s*\Z")
# What a bare shape may stand behind: "Thanks, as a list". Behind an order it belongs to that.
_REACTIONS: Final = frozenset({"praise", "thanks", "complaint", "wish", "deny", "empty"})
# What a question speaks of that may be answered by an order: "How long should it be?"
_HOW: Final = frozenset({*SHAPES, "brief", "short", "long", "theirs"})
# What may be against the praise before it.
UNCLEAR: Final = frozenset({"other", "order", "deny", "aside", "doubt"})


@dataclass(frozen=True, slots=True)
class Heard:
    """What a message says of the reply.

    kind: what the clause that decided is; "nothing" where none did
    rule: why, told in the evidence
    hint: what the reply should have done
    """

    score: Literal[-1, 0, 1]
    kind: Kind | Literal["nothing"]
    rule: str
    confidence: float = NO_VERDICT
    hint: str | None = None


def hear(reading: Reading) -> Heard:
    """Return what a person's words say of the reply."""
    if reading.origin != "person":
        return Heard(0, "nothing", f"{reading.origin} text")
    found = heard_parts(reading)
    for rule in _RULES:
        heard = rule(reading, found)
        if heard is not None:
            return heard
    return Heard(0, "nothing", "a new topic")


_Rule = Callable[[Reading, tuple[Told, ...]], Heard | None]


def _says_the_same(reading: Reading, _: tuple[Told, ...]) -> Heard | None:
    """The very same words once more: a program asks on purpose, whatever the words are."""
    if "??" not in reading.said and tokens(reading.said) == tokens(reading.asked):
        return Heard(0, "nothing", "the same request on purpose")
    return None


def _complains(reading: Reading, found: tuple[Told, ...]) -> Heard | None:
    """A fault that is named, before the message goes on to something else."""
    topic = next((i for i, told in enumerate(found) if told.is_topic), len(found))
    for place, told in enumerate(found):
        if told.kind != "complaint":
            continue
        behind_story = topic < len(found) and found[topic].kind == "other" and told.rule in FIRM
        if place > topic and not behind_story:
            continue
        # what other people did is not the agent's fault
        if not told.part.has("you") and any(t.part.has("others") for t in found[:place]):
            continue
        if _is_told_elsewhere(reading, found, place):
            continue
        answers = reading.asks == "question" and not told.part.has("you")
        answers = answers and not _orders_how(reading, found)
        # "stop, don't delete them" is a no to the offer
        if answers or (reading.asks == "offer" and told.rule == "corrects it"):
            return Heard(0, "nothing", "an answer to the agent's question")
        wishes = (n for n, later in enumerate(found) if later.kind == "wish")
        wish = next((found[n] for n in wishes if not _belongs_to_the_next(found, n)), None)
        wish = _not_the_opposite(told, wish) or _said_behind(found, place)
        return _unhappy(reading, told, wish=wish, confidence=0.9)
    return None


def _not_the_opposite(told: Told, wish: Told | None) -> Told | None:
    """Return what had been asked for, where a wish only denies the opposite.

    "I said shorter, not longer"
    """
    usual = usual_of(told.part)
    denies = wish is not None and "not" in wish.part.opens
    if told.rule == "wanted something else" and denies and usual is not None:
        return Told("wish", usual, told.part)
    return wish


def _said_behind(found: tuple[Told, ...], place: int) -> Told | None:
    """Return what stands at once behind a complaint that says not what should have been.

    An order ("That's wrong. Answer with pong, please.") or what is right instead ("That's wrong,
    it is Canberra."). What stands elsewhere, or names nothing ("do it"), may be about anything.
    """
    told = found[place]
    if told.rule in OWN_WORDING or (told.rule in TELLING and told.part.says_something):
        return None
    passed = ("empty", "deny", "complaint")
    behind = next((t for t in found[place + 1 :] if t.kind not in passed), None)
    if behind is None or behind.part.foreign or behind.part.topic > MOST_BEHIND:
        return None
    names = behind.part.says_something
    if _FOR_EVER.search(" ".join(word.text for word in behind.part.words)):
        return None
    if behind.kind == "order":
        return behind if names or behind.part.has(*SHAPES) else None
    corrects = behind.kind == "other" and told.rule == "says it is wrong"
    return behind if corrects and names and not behind.part.has("me") else None


def _is_told_elsewhere(reading: Reading, found: tuple[Told, ...], place: int) -> bool:
    """Tell whether a complaint is what the user said to somebody, or met in something else."""
    told = found[place]
    about_reply = told.part.has("reply", "you")
    if told.rule == "too complicated":
        return any(COVER in clause.tokens for clause in reading.clauses)
    if told.rule == "says it is wrong" and len(told.part.words) > 2 and not about_reply:
        return any(later.kind == "question" for later in found[place + 1 :])
    before = found[place - 1].part if place and found[place - 1].kind != "declined" else None
    reports = told.part.words[0].text in ("that", "dass", "que", "qu", "che")
    return reports and before is not None and before.has("told") and not before.has("you")


def _wants_of_life(_: Reading, found: tuple[Told, ...]) -> Heard | None:
    """ "Days should be longer", and nothing else."""
    wants = [told for told in found if told.rule == "wants it of life"]
    if wants and all(told.kind == "empty" for told in found if told not in wants):
        return Heard(0, "nothing", wants[0].rule)
    return None


def _takes_back(_: Reading, found: tuple[Told, ...]) -> Heard | None:
    """ "Sorry, I meant tomato soup": the person was wrong, and not the reply."""
    if not any(told.part.has("sorry") for told in found):
        return None
    if any(told.part.has("you", "deny") for told in found):
        return None
    if any(told.part.before("me", "told") or told.part.has("slip") for told in found):
        return Heard(0, "nothing", "takes back their own words")
    return None


def _denies(reading: Reading, found: tuple[Told, ...]) -> Heard | None:
    """A no to what the reply says, and what is right instead."""
    if reading.asks != "nothing" or len(found) < 2 or found[0].kind != "deny":
        return None
    right = found[1]
    if right.kind not in ("other", "empty") or right.part.asks or right.part.topic > 3:
        return None
    told = Told("complaint", "corrects it", right.part)
    return _unhappy(reading, told, wish=None, confidence=0.7)


def _wishes(reading: Reading, found: tuple[Told, ...]) -> Heard | None:
    place = next((i for i, told in enumerate(found) if told.kind == "wish"), None)
    if place is None:
        return None
    if any(told.kind in ("question", "task", "order") for told in found[place + 1 :]):
        return Heard(0, "nothing", "a wish for what comes next")
    if _belongs_to_the_next(found, place):
        return None
    if reading.asks != "nothing" and not _orders_how(reading, found):
        return Heard(0, "nothing", "an answer to the agent's question")
    return _unhappy(reading, found[place], wish=found[place], confidence=0.8)


def _orders_how(reading: Reading, found: tuple[Told, ...]) -> bool:
    """Tell whether a message orders how to answer, which the agent's question did not ask for.

    "Too long. Answer in one short sentence only." behind "What is your favourite snack?". An
    answer names the thing ("in German"), and bids nobody to answer.
    """
    orders = any(
        told.kind == "wish" and told.part.has("do") and told.part.has("reply", "brief")
        for told in found
    )
    if not orders or any(told.kind in ("praise", "thanks") for told in found):
        return False  # beside praise it is for what comes next
    asked = language_of(reading).words(tokens(reading.question))
    return not any(word.classes & _HOW or {"do", "reply"} <= word.classes for word in asked)


def _belongs_to_the_next(found: tuple[Told, ...], place: int) -> bool:
    """Tell whether a bare shape ends a sentence that asks for more: "and Ecuador, in one word"."""
    wish = found[place].part
    begun = [told for told in found[:place] if told.part.clause.sentence == wish.clause.sentence]
    # "a thank-you card for my teacher, three lines please"
    if any(told.kind == "aside" and told.part.foreign for told in begun):
        return True
    if wish.has("do", "want", "stop") or not place:
        return False
    if "as" in wish.opens and any(told.kind not in _REACTIONS for told in begun):
        return True
    return any(told.is_topic and (told.kind != "other" or _continues(told)) for told in begun)


def _continues(told: Told) -> bool:
    """Tell whether a part names one thing more, and says nothing of it: "and Ecuador"."""
    words = told.part.words
    return told.part.topic <= 1 and len(words) <= 3 and "filler" in words[0].classes


def _repeats(reading: Reading, found: tuple[Told, ...]) -> Heard | None:
    """The question once more, insisting: the reply left it open.

    Without a word that insists it may be a program that asks on purpose, or another joke.
    """
    asked, again = set(tokens(reading.asked)), set(tokens(reading.said))
    if any(told.kind in ("praise", "thanks") for told in found):
        return None
    if len(asked) < FEWEST_TOKENS or not asked <= again:
        return None
    added = language_of(reading).words(sorted(again - asked))
    insists = "??" in reading.said or any(told.part.contrast for told in found)
    insists = insists or any(word.classes & {"filler", "yes", "but", "told"} for word in added)
    if insists and all(word.known for word in added):
        return Heard(-1, "complaint", "the same question again", 0.6)
    return None


def _doubts(_: Reading, found: tuple[Told, ...]) -> Heard | None:
    if any(told.kind == "doubt" for told in found):
        return Heard(0, "doubt", "doubts it")
    return None


def _declines(_: Reading, found: tuple[Told, ...]) -> Heard | None:
    """ "I need no more help": over, whatever the reply was like; thanks before it stay thanks."""
    place = next((i for i, told in enumerate(found) if told.kind == "declined"), None)
    if place is None or any(told.kind in ("praise", "thanks") for told in found[:place]):
        return None
    return Heard(0, "declined", "declines help")


def _approves(reading: Reading, found: tuple[Told, ...]) -> Heard | None:
    """Praise or thanks, with nothing against it and nothing behind it that is not understood."""
    topic = next((i for i, told in enumerate(found) if told.is_topic), len(found))
    place = next((i for i, t in enumerate(found[:topic]) if t.kind in ("praise", "thanks")), None)
    if place is None:
        return None
    if reading.asks != "nothing":
        return Heard(0, "nothing", "an answer to the agent's question")
    if found[place].rule == "denies a fault" and place + 1 < len(found):
        return Heard(0, "denied", "denies a fault")
    for before, told in pairwise(found[place:]):
        stray = told.part.foreign and told.part.topic > 1  # their own life
        if told.part.contrast and told.kind == "other" and not told.part.asks and not stray:
            against = Told("complaint", "courtesy, and something against it", told.part)
            return _unhappy(reading, against, wish=None, confidence=0.5)
        shaped = told.kind == "order" and told.part.has(*SHAPES)
        if before.part.has("task") and told.kind == "question" and told.part.topic > 1:
            continue  # "And now: how do I clean windows?"
        if told.part.contrast or told.kind in UNCLEAR or shaped or _is_against(reading, told):
            return Heard(0, "nothing", "courtesy, and something else")
    if _TRAILS.search(reading.said):
        return Heard(0, "nothing", "praise that trails off")
    return Heard(1, found[place].kind, found[place].rule, 0.8)


def _is_against(reading: Reading, told: Told) -> bool:
    """Tell whether what stands behind courtesy may be against it, though it sounds like a task.

    "Great, another wall of text", "now that he can't eat the bread", "and the price?" where the
    price was asked for already.
    """
    part = told.part
    if told.kind == "task":
        tells = len(part.words) > 1 and "others" in part.words[1].classes
        return tells or part.has("fault", "not", "stop")
    if told.kind != "question":
        return False
    asked_again = any(
        reading.asked_about(run) and not reading.replied_about(run) for run in part.shared
    )
    return part.before("you", "told") or asked_again or len(part.words) <= FEWEST_WORDS


def _denied(_: Reading, found: tuple[Told, ...]) -> Heard | None:
    denied = next((told for told in found if told.kind == "denied"), None)
    return None if denied is None else Heard(0, "denied", denied.rule)


_RULES: Final[tuple[_Rule, ...]] = (
    _says_the_same, _wants_of_life, _takes_back, _complains, _denies, _repeats, _wishes, _doubts,
    _declines, _approves, _denied,
)  # fmt: skip


def _unhappy(reading: Reading, told: Told, *, wish: Told | None, confidence: float) -> Heard:
    """A verdict of −1, with the hint that its words give."""
    hint = hint_for(reading, told, wish=wish)
    rule = f"{told.rule}; hint refused: {hint.refused}" if hint.refused else told.rule
    return Heard(-1, told.kind, rule, confidence, hint.text)

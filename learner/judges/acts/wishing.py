"""Rules that tell a wish: how replies should be, what they should not do, a name to use.

Each returns what a clause is and by which rule, or None where it does not apply.
"""

from typing import Final

from learner.judges.acts.kinds import Found
from learner.judges.acts.part import SHAPES, Part
from learner.judges.reading.text import COVER

# So many words has a name ("Ada Mary Weber"), and a shape that stands by itself.
MOST_OF_A_NAME: Final = 3
MOST_OF_A_SHAPE: Final = 5
MOST_OF_AN_ENDING: Final = 2
# With one of these, "only the …" is the beginning of something that is said of it.
_SAYS_MORE: Final = (
    "not", "fault", "able", "good", "slip", "told", "you", "ask", "task", "too", "scold", "lost",
    "love", "thanks", "doubt",
)  # fmt: skip
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


def wishes_a_name(part: Part) -> Found:
    """ "Call me Ada", "sign it with Ada": behind the words stands nothing but a name."""
    if part.asks and not part.has("want"):
        return None
    for place in part.places("naming"):
        behind, before = part.words[place + 1 :], part.words[:place]
        name = list(before if part.eastern and not behind else behind)
        while name and name[-1].classes & {"want", "filler"} and len(name) > 1:
            name.pop()
        strange = [word for word in name if not word.classes - {"want", "grade"}]
        asked = all(word.classes & {"want", "filler", "stop", "yes", "deny"} for word in before)
        if name and len(strange) == len(name) <= MOST_OF_A_NAME and (asked or name == list(before)):
            return "wish", "wishes a name"
    return None


def wishes_an_ending(part: Part) -> Found:
    """ "Please end with a riddle": whatever it is that replies should end with."""
    places = part.places("closing")
    if not places or part.asks or part.foreign or part.topic > MOST_OF_AN_ENDING:
        return None
    before = part.words[: places[0]]
    if all(word.classes & {"filler", "want", "yes", "you"} for word in before):
        return "wish", "wishes an ending"
    return None


def wishes_no_more(part: Part) -> Found:
    """ "Just the number, please", "grams, not cups": one thing that is there, and nothing else."""
    if part.asks or part.foreign or part.topic or len(part.words) > MOST_OF_A_SHAPE:
        return None
    forms = part.places("form")
    if any(i + 1 in part.places("not") and i + 2 in forms for i in forms):
        return "wish", "wishes a form"
    named = part.shared or part.has("form", "reply")
    if "only" in part.opens and named and not part.has(*_SAYS_MORE):
        return "wish", "wishes a form"
    return None


def forbids_a_manner(part: Part) -> Found:
    """ "Stop saying 'hereby'", "no uses tantas palabras": a way of speaking that should end."""
    quotes = any(word.text == COVER for word in part.words)
    if quotes and "stop" in part.opens and part.topic == 0 and not part.asks:
        return "wish", "forbids a manner"  # 'drop the "Dear Sir"'
    places = part.places("quit")
    if not places or part.asks or part.foreign or part.topic > 1:
        return None
    before = part.words[: places[0]]
    if part.eastern or all(word.classes & {"filler", "want", "yes", "you"} for word in before):
        return "wish", "forbids a manner"
    return None


def wishes_a_shape(part: Part) -> Found:
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
    if part.foreign and part.has("theirs") and not part.has("you"):
        return None  # "夫は長いほうがいいと言っています"
    if part.has("task") and not part.has("comp"):
        return None
    shapes = [word for word in part.words if not word.classes.isdisjoint(SHAPES)]
    if part.topic and all("you" in word.classes for word in shapes):
        return None  # "kann ich sie retten" names no form of address
    begins = part.places("do", "want", "stop")
    # "explain gravity in one sentence" is a task, "call me Sam" is not
    most = 1 if part.has("want", "stop", "me") else 0
    early = bool(begins) and begins[0] <= 2 and part.topic <= most
    # "funny" alone is praise, "make it funny" is not
    if part.has("good") and not ("do" in part.opens and part.has("tone")):
        early = False
    if part.before("stop", "form", "tone", "do", within=5) and part.topic <= 1:
        return "wish", "forbids a manner"
    if early or (part.has("lang") and part.topic == 0 and len(part.words) <= 3):
        return "wish", _wished(part)
    return None


def usual_of(part: Part) -> str | None:
    """Return the name of the usual wish that it has the words of; None where of none."""
    return next((rule for name, rule in _USUAL.items() if part.has(name)), None)


def _wished(part: Part) -> str:
    """The name of what is wished; where the words name nothing more, their three usual ones."""
    if not part.has("form", "lang") or part.topic == 0 == len(part.places("form")):
        usual = usual_of(part)
        if usual is not None:
            return usual
    for name, rule in _WISHED.items():
        if part.has(name):
            return rule
    return "wishes it otherwise"

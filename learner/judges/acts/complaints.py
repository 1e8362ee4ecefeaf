"""Rules that tell a complaint: a fault that is named, of the reply or of the agent; or one denied.

Each returns what a clause is and by which rule, or None where it does not apply.
"""

from typing import Final

from learner.judges.acts.kinds import Found
from learner.judges.acts.language import language_of_text
from learner.judges.acts.part import SHAPES, Part
from learner.judges.reading.text import is_cjk

_GRADES: Final = ("long", "short", "hard", "stiff", "loose", "grade")
_TOO: Final = {
    "long": "too long",
    "short": "too short",
    "hard": "too complicated",
    "stiff": "too stiff",
    "loose": "too loose",
    "grade": "too much of something",
}
# What there is too much of where there is too little of the other.
_TOO_LITTLE: Final = {
    "plain": "too complicated",
    "long": "too short",
    "short": "too long",
    "stiff": "too loose",
    "loose": "too stiff",
    "grade": "too little of something",
    "tone": "too little of something",
}


def mocks(part: Part) -> Found:
    """ "Thanks for nothing": praise that means the opposite."""
    return ("complaint", "mocks it") if part.has("mock") and part.topic <= 4 else None


def falls_short(part: Part) -> Found:
    """ "Not short enough", "pas assez formel": too little of what can be graded."""
    if part.asks or part.foreign or part.topic or part.has("me"):
        return None
    for place in part.places("enough"):
        near = part.words[max(0, place - 1) : place + 2]
        rule = _too_little(frozenset().union(*(word.classes for word in near)))
        if rule and any(denied < place for denied in part.places("not")):
            return "complaint", rule
    return None


def is_not(part: Part) -> Found:
    """ "That's not short", "alles andere als kurz": not as replies should be, or as was asked."""
    if part.asks or part.foreign or part.topic or part.has("me", "too"):
        return None
    for place in part.places("not"):
        for at, word in enumerate(part.words[place + 1 : place + 5], place + 1):
            rule = _too_little(word.classes)
            # "not the short one" chooses between two
            if any("number" in after.classes for after in part.words[at + 1 : at + 2]):
                break
            asked = {"brief", "short"} <= word.classes or part.reading.asked_about(word.text)
            beside = (*part.words[:place], *part.words[at + 1 :])
            if rule and asked and not any({"do", "want", "stop"} & w.classes for w in beside):
                return "complaint", rule
            if word.classes.isdisjoint({"filler", "mild", "reply"}):
                break
    return None


def _too_little(classes: frozenset[str]) -> str | None:
    """The rule for too little of what a word grades; None where it grades nothing."""
    return next((rule for grade, rule in _TOO_LITTLE.items() if grade in classes), None)


def suffices(part: Part) -> Found:
    """ "Short enough": as it should be; only behind the grade, "assez court" may blame.

    "That's enough detail" says it of the reply; "enough detail" may forbid.
    """
    asking = {"not", "do", "want", "stop", "too"}
    for place in part.places("enough"):
        beside = (*part.words[: max(0, place - 1)], *part.words[place + 1 :])
        named = part.words[place + 1 : place + 2]
        if part.opens & {"reply"} and any("form" in word.classes for word in named):
            return "denied", "denies a fault"
        graded = place > 0 and _too_little(part.words[place - 1].classes)
        if graded and all(asking.isdisjoint(word.classes) for word in beside):
            return "denied", "denies a fault"
    return None


def denies_a_fault(part: Part) -> Found:
    """ "Not too long", "nothing wrong": a fault, and a no before it or in one word with it."""
    if part.has("denying") or any({"too", "not"} <= word.classes for word in part.words):
        return "denied", "denies a fault"
    if (
        part.has("scold", "lost", "want", "quit")
        or part.before("not", "do")
        or not part.leads_to("not", "fault", "too", *_GRADES)
    ):
        return None
    return ("praise", "denies a fault") if part.has("good") else ("denied", "denies a fault")


def scolds(part: Part) -> Found:
    """ "Did you even read it", "this doesn't help": held against the agent."""
    if not part.has("scold") or part.topic > 3 or part.has("others"):
        return None
    # "the printer doesn't work" is about the printer
    if part.topic == 0 or part.has("you", "reply", "me"):
        return "complaint", "faults the agent"
    return None


def puzzled(part: Part) -> Found:
    """ "Huh?", "I don't get it": not understood."""
    if not part.has("lost") or part.topic + len(part.shared) > 1 or part.has("others"):
        return None
    # "In English, please" is said of what is in English, and else is a wish
    if part.has("lang") and language_of_text(part.reading.reply) not in ("", "en"):
        return None
    # a mere "huh" says it alone, and little beside other words
    if " " in part.words[part.places("lost")[0]].text or len(part.words) == 1 or part.eastern:
        return "complaint", "too complicated"
    return None


def hard_to_follow(part: Part) -> Found:
    """ "That was hard to follow", where neither question nor reply speaks of what is hard."""
    if part.asks or part.foreign or part.topic:
        return None
    for place in part.places("dense"):
        said = part.words[place].text
        # "hard to read in the dark"
        if any("grade" in word.classes for word in part.words[place + 1 :]):
            continue
        if not part.reading.shared(said.split()[0] if not is_cjk(said[0]) else "难"):
            return "complaint", "too complicated"
    return None


def exceeds(part: Part) -> Found:
    """ "Too long", "way too formal": too much of what can be graded."""
    if part.asks or part.foreign or not part.has("too"):
        return None
    for word in part.words:
        grade = next((each for each in _GRADES if {"too", each} <= word.classes), None)
        if grade is not None and part.topic == 0 and not part.has("do", "want", "stop", "comp"):
            return "complaint", _TOO[grade]
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


def leans(part: Part) -> Found:
    """ "A bit long", "etwas steif": somewhat more than it should be, and nothing else."""
    if part.asks or part.foreign or part.has("do", "want", "stop", "not", "you", "comp"):
        return None
    if part.topic or part.shared or (part.has("me") and not part.has("reply")):
        return None
    if any("good" in word.classes and "mild" not in word.classes for word in part.words):
        return None
    for place in part.places("mild"):
        for grade in _GRADES[:-1]:
            if any(grade in word.classes for word in part.words[place + 1 : place + 2]):
                return "complaint", _TOO[grade]
    return None


def slips(part: Part) -> Found:
    """ "You forgot …", "you didn't read …"."""
    if part.asks or part.has("want"):
        return None
    # "you missed what I said", but not "you know what I said, I forgot it"
    if part.before("you", "slip", within=1) and part.topic <= 5 and not part.has("others"):
        return "complaint", "faults the agent"
    # "esqueceste-te do sal" has the person in its verb
    if any({"you", "slip"} <= word.classes for word in part.words) and not part.foreign:
        return ("complaint", "faults the agent") if part.topic <= 5 else None
    if part.has("told") and not part.leads_to("you", "not"):
        return None
    if part.before("you", "slip") and part.topic <= 5:
        return "complaint", "faults the agent"
    # "du hast meine Frage nicht beantwortet"
    near = 2 if part.topic else 5
    if part.before("you", "not", within=near) and part.before("not", "heed") and part.topic <= 5:
        return "complaint", "faults the agent"
    return None


def lacks(part: Part) -> Found:
    """ "That's not right", "doesn't work"."""
    if part.asks or part.foreign or part.topic > 1 or part.has("want"):
        return None
    if part.has("me") and not part.has("reply", "you"):
        return None
    if part.before("not", "able", "good"):
        return "complaint", "says it is wrong"
    return None


def insists(part: Part) -> Found:
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


def faults(part: Part) -> Found:
    """ "That's wrong", "your date is off": a word for a fault, about the reply."""
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


def corrects(part: Part) -> Found:
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

"""Rules that tell the other moves of a conversation: praise, thanks, a doubt, a question, a task.

Each returns what a clause is and by which rule, or None where it does not apply.
"""

from learner.judges.acts.kinds import Found
from learner.judges.acts.part import Part


def aside(part: Part) -> Found:
    """Phrases that only sound like one of the others."""
    return ("aside", "") if part.has("aside") else None


def doubts(part: Part) -> Found:
    """ "Are you sure?": asks whether it is right."""
    return ("doubt", "") if part.has("doubt") else None


def praises(part: Part) -> Found:
    """ "Great", "I love this answer", and nothing of another topic."""
    if part.asks or part.has("others", "mine", "not") or "task" in part.opens:
        return None
    if part.opens & {"do", "deny"} and not part.opens & {"good", "filler", "yes"}:
        return None  # "explain better", "not quite what I had in mind"
    if "want" in part.opens and part.has("do"):
        return None  # "can you format it better"
    if part.has("good") and part.topic == 0:
        return "praise", "praises it"
    if part.has("love") and part.has("reply") and part.topic == 0:
        return "praise", "praises it"
    return None


def thanks(part: Part) -> Found:
    """Thanks, which may name what they are for: "thanks for the recipe"."""
    if not part.has("thanks") or part.asks or part.has("others"):
        return None
    if part.eastern and part.topic and part.has("ask"):
        return None  # "谢谢惠顾是什么意思" asks at its end
    if part.topic == 0 or (part.topic <= 3 and part.places("thanks")[0] <= 1):
        return "thanks", "thanks"
    return None


def says_nothing(part: Part) -> Found:
    """A bare no, or nothing but filler: "well", "yes, ok"."""
    if part.has("thanks", "good", "fault", "up", "down"):
        return None
    if part.has("task") and part.clause.announces:
        return None  # "next: …"
    if all(word.classes & {"filler", "yes", "deny"} or not word.text[0].isalnum()
           for word in part.words):  # fmt: skip
        denies = any("deny" in word.classes for word in part.words)
        if (denies and not part.has("filler")) or (denies and len(part.words) < 3):
            return "deny", ""
        return None if part.topic or len(part.words) > 3 else ("empty", "")
    return None


def goes_on(part: Part) -> Found:
    """A question, or what opens as a task or an order: the conversation goes on."""
    if part.asks:
        return "question", ""
    begins = next((w for w in part.words if w.classes - {"filler", "mild"} or not w.known), None)
    if begins is not None and "task" in begins.classes:
        return "task", ""
    if begins is not None and "do" in begins.classes:
        return "order", ""
    if begins is not None and "want" in begins.classes:
        if part.has("task") and part.topic:
            return "task", ""  # "please now translate …", in Japanese at the end
        return ("order", "") if part.topic or part.shared or part.has("do") else ("empty", "")
    return None

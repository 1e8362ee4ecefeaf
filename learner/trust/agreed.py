"""How many people are behind a wish: who wishes the same, and what they count for together.

A wish is learned when as many people as the quorum wish it (learner.trust.crowd), not when it rides
along with what others wish. Two wishes are the same when no word of one is missing in the other, in
this order, but for politeness; or when both speak of nothing but a reply's form and a program reads
the same of it ("Be brief.", "Keep it short, please!"). Wishes that are merely alike are two: "the
capital is Abuja, not Lagos" has the words of its opposite, and whoever hangs a lie on a common wish
must not have its people. A vote without words wishes for the reply that it is on, and is the same
as others' on the same reply to the same question.

Newcomers of one wish count for their parts, and all together for half a person at most: however
many keys are made today, they complete no quorum that those who have been here leave open.

Words alone decide, and no model, so a line that is run again agrees alike. Knows nothing of tables.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

from learner.form.directions import directions_of
from learner.judges.reading.text import tokens

# A part of a person that rounding left short of a whole one is whole.
_ROUNDING: Final = 1e-9
# What changes nothing of a wish, wherever it stands.
_POLITE: Final = frozenset(
    tokens(
        "please pls plz kindly thanks bitte danke svp merci favor gracias grazie obrigado 请 the a"
    )
)
# Words that speak of a reply's form and of nothing else: no word of denial or comparison with
# something else, or "not so short" were the same as "short".
_OF_FORM: Final = frozenset(
    tokens(
        "answer answers answering reply replies respond response responses be keep make it them"
        " write give say me i want need your in one two three four five six ten single only just"
        " short shorter brief briefer briefly concise concisely long longer sentence sentences word"
        " words line lines most at more detail details detailed bullet point points bullets list as"
        " use json table plain text english german french spanish italian portuguese"
        " antworte antworten antwort kurz kürzer kurzer knapp fasse dich mach es länger langer"
        " ausführlicher auf deutsch englisch in einem satz nur sätzen satzen"
    )
)


def wish_key(
    hint: str | None, *, score: int, asked: str | None, reply: str | None, turn_id: str
) -> str:
    """Name what a judged turn wishes: two turns of one name wish the same. No word stands in it.

    hint: what the reply should have done; None: the verdict is a vote on the reply
    asked, reply: hashes of the question and of the reply; None: not known, so nobody agrees

    >>> def of(hint): return wish_key(hint, score=-1, asked=None, reply=None, turn_id="t")
    >>> of("Be brief.") == of("keep it SHORT, please!"), of("Say A, not B.") == of("Say B, not A.")
    (True, False)
    """
    if hint is not None and (said := tuple(t for t in tokens(hint) if t not in _POLITE)):
        form = directions_of(hint)
        known = _OF_FORM | {each.value for each in form}
        of_form = form and known.issuperset(said)
        named = ["form", *sorted(map(str, form))] if of_form else ["words", *said]
    elif asked and reply:
        named = ["vote", str(score), asked, reply]
    else:
        named = ["turn", turn_id]
    return hashlib.sha256("\0".join(named).encode("utf-8", "surrogatepass")).hexdigest()[:24]


def people(parts: Iterable[float], *, newcomers: float = 0.5) -> float:
    """Return how many people those of one wish stand for.

    parts: what each counts for in a quorum, 0..1; less than 1 is a newcomer
    newcomers: what these count for at most, all together

    >>> people([1.0, 1.0, 0.2, 0.2]), people([0.2] * 20)
    (2.4, 0.5)
    """
    told = sorted(parts)
    whole = sum(part >= 1 - _ROUNDING for part in told)
    return whole + min(newcomers, sum(part for part in told if part < 1 - _ROUNDING))

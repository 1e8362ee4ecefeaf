"""Tells the language of a message or a text: the one whose list knows most of its words."""

from typing import Final

from learner.judges.acts.lexicon import CJK, LATIN, Lexicon, lexicon
from learner.judges.reading.reading import Reading
from learner.judges.reading.text import is_cjk, tokens

# Of the reply, this much tells the language of a message that is too short to do so.
LANGUAGE_CHARS: Final = 200
LANGUAGE_WEIGHT: Final = 0.3


def language_of(reading: Reading) -> Lexicon:
    """Return the language that knows most of a message's words; the reply's, where several do."""
    said = [token for clause in reading.clauses for token in clause.tokens]
    eastern = sum(map(is_cjk, said)) * 3 > len(said)
    context = tokens(reading.reply[:LANGUAGE_CHARS])

    def fit(name: str) -> float:
        words = lexicon(name)
        return words.share(said) + LANGUAGE_WEIGHT * words.share(context)

    return lexicon(max(CJK if eastern else LATIN, key=fit))


def language_of_text(text: str) -> str:
    """Return the language that most words of a text's beginning are of; empty: none is known."""
    context = tokens(text[:LANGUAGE_CHARS])
    known = {name: lexicon(name).share(context) for name in (*LATIN, *CJK)}
    best = max(known, key=lambda name: known[name])
    return best if known[best] else ""

"""Takes off what clients put around a person's words: rules behind them, sources, quotation marks.

A coding agent repeats its rules of form behind every message, a chat page puts what it found around
the question, a command line puts its arguments in quotation marks. What stands behind both the
question and what came after the reply is the client's, whatever it says; a question between a
retriever's tags is the person's.

Knows nothing of verdicts.
"""

import re
from itertools import takewhile
from typing import Final

# No client's rules are longer, and people end two messages with the same few words.
MOST_RULES_CHARS: Final = 40_000
LEAST_RULES_CHARS: Final = 60
_PARAGRAPH: Final = "\n\n"
_RETRIEVER: Final = re.compile(r"\s*### Task:\s+Respond to the user query using the provided cont")
_CONTEXT_END: Final = "</context>"
_QUERY: Final = re.compile(r"\A\s*<user_query>(.*)</user_query>\s*\Z", re.DOTALL)
_WHOLE: Final = re.compile(r'\A\s*"([^"]+)"\s*\Z')


def unwrapped(asked: str, said: str) -> tuple[str, str]:
    r"""Return a question and what was said after its reply, without what is the client's.

    >>> rules = "\n\n# Rules\n" + "Every block must use this format, and no other one. " * 2
    >>> unwrapped("Fix it" + rules, "Too long." + rules)
    ('Fix it', 'Too long.')
    >>> unwrapped('"Fix it"', '"Too long."'), unwrapped("Fix it", '"Too long."')
    (('Fix it', 'Too long.'), ('Fix it', '"Too long."'))
    """
    asked, said = _question(asked), _question(said)
    asked, said = _without_rules(asked, said)
    quoted = _WHOLE.match(asked), _WHOLE.match(said)
    if quoted[0] and quoted[1]:
        return quoted[0][1], quoted[1][1]
    return asked, said


def _question(text: str) -> str:
    """The question that stands behind what a retriever found."""
    if not _RETRIEVER.match(text) or _CONTEXT_END not in text:
        return text
    behind = text.rpartition(_CONTEXT_END)[2]
    tagged = _QUERY.match(behind)
    return (tagged[1] if tagged else behind).strip() or text


def _without_rules(asked: str, said: str) -> tuple[str, str]:
    """Both without the paragraphs that they end with in common, where more than these is left."""
    ends = [text[-MOST_RULES_CHARS:][::-1] for text in (asked, said)]
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False)))
    begin = said.find(_PARAGRAPH, len(said) - same)
    length = len(said) - begin if begin >= 0 else 0
    if length < LEAST_RULES_CHARS:
        return asked, said
    without = asked[:-length].rstrip(), said[:-length].rstrip()
    return without if all(without) else (asked, said)

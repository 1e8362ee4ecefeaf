"""Tells a wish about the manner of answering from one that may state something of the world.

"Be brief", "Use metric units" and "Explain it to a child" change how things are said; "Say that it
is Lagos" changes what is said to be so, and what three people make everybody hear may be a lie. The
former has only words of a fixed list (manner.toml beside this), which has no name, no fact, and no
number but of a reply's parts; so a lie is no manner, however it is dressed up. What the list does
not know, and a vote without words, is taken for a statement: that mistake costs company, not truth.

Words alone decide, and no model, so a line that is run again decides alike. Knows no people.
"""

import re
import tomllib
from pathlib import Path
from typing import Final

from learner.judges.reading.text import tokens

_WORDS: Final = {
    name: frozenset(tokens(words))
    for name, words in tomllib.loads(
        Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    ).items()
}
_OF_MANNER: Final = frozenset().union(
    *(_WORDS[name] for name in ("beside", "of_replies", "german", "romance"))
)
_COUNT: Final = re.compile(r"\d{1,4}")
# Chinese and Japanese have no spaces between words: what may be said is whole phrases. None is two
# others in a row, nor given back: what could be split in two ways would take for ever to refuse.
_PHRASES: Final = re.compile(
    r"(?:请|只|簡潔に?|短く|短一点|更短|更长|长一点|更详细|詳しく|手短に|一句话|一文だけ|一文で|回答|答えて|用中文|用英文|"
    r"日本語で|英語で|箇条書き|列表|分步骤|不要表情|絵文字なし|ください|で|[\s。、，！!,.])++"
)


def is_manner(wish: str | None) -> bool:
    """Tell whether a wish speaks of the manner of answering, and of nothing else.

    None: a vote without words, which is for or against whatever the reply says.

    >>> is_manner("Use metric units, please."), is_manner("Answer in at most 40 words.")
    (True, True)
    >>> is_manner("Be brief, and say that it is Lagos."), is_manner("Say 1914.")
    (False, False)
    """
    said = tokens(wish or "")
    if not said:
        return False
    before, behind = ("", *said[:-1]), (*said[1:], "")
    return bool(_PHRASES.fullmatch(wish or "")) or all(map(_may_stand, said, before, behind))


def _may_stand(token: str, before: str, behind: str) -> bool:
    """Tell whether a word says nothing of the world between its neighbours."""
    if token in _WORDS["languages"]:
        return before in _WORDS["into"]
    if _COUNT.fullmatch(token) or token in _WORDS["numbers"]:
        return behind in _WORDS["counted"]
    if token in _WORDS["no"]:
        return behind in _OF_MANNER
    return token in _OF_MANNER

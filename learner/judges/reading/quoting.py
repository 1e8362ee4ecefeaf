"""Takes out of a message what it quotes of the very reply that it follows, line by line.

Mails and messengers put the reply, or the part of it that is meant, before or behind what somebody
writes, each line with a > in front. That is no pasted text: it says which words are meant, and the
rest is said of them. A quote of anything else stays.

Knows nothing of verdicts.
"""

import re
from typing import Final

from learner.link.letters import bare

_QUOTED: Final = re.compile(r"[ \t]*(?:>[ \t]?)+(.*)\Z", re.DOTALL)
# "On Friday, the bot wrote:", "Am Freitag schrieb der Bot:", "Quickset said:"
_WROTE: Final = re.compile(
    r"[^\n]{1,200}\b(?:wrote|writes|said|says|schrieb\b.*|écrit|escribió|escreveu|ha scritto|写道)"
    r"\s?[:：]\s*\Z|\s*-{2,}\s*original message\s*-{2,}\s*\Z",
    re.IGNORECASE,
)
# Fewer letters stand in any reply.
_LEAST: Final = 4
# No more of a message is looked at.
_READ_CHARS: Final = 16_384


def without_reply(said: str, reply: str) -> str:
    r"""Return a message without the lines that quote the reply; as it was, where all of it does.

    >>> without_reply("> Bake it for an hour.\nThat's wrong.", "Mix it. Bake it for an hour.")
    "That's wrong."
    >>> without_reply("> We bake at night.\nThat's wrong.", "Mix it. Bake it for an hour.")
    "> We bake at night.\nThat's wrong."
    """
    if ">" not in said or len(said) > _READ_CHARS:
        return said
    lines = said.splitlines()
    quotes = [_QUOTED.match(line) for line in lines]
    quoted = bare("\n".join(found[1] for found in quotes if found))
    if len(quoted) < _LEAST or quoted not in bare(reply[:_READ_CHARS]):
        return said
    kept: list[str] = []
    for line, found in zip(lines, quotes, strict=True):
        if found is None:
            kept.append(line)
        elif kept and _WROTE.match(kept[-1]):
            kept.pop()
    return "\n".join(kept).strip() or said

"""Hears complaints, wishes, praise and thanks by embedding: words that no list has, in their context.

The embedder reads what was said, the reply before it and the question before that as one text, tuned
on labelled examples (learner.judges.training); a linear head on its vector gives the chances of five
labels. It never reads text of programs, tools or quotations (reading), and it is asked only where the
words may be a reaction at all, since it costs a hundred times what the rules cost.

The tuning is a few thousand numbers beside this file, named by their digest.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from learner.judges.text import is_cjk

Label = Literal["complaint", "wish", "praise", "thanks", "neutral"]
LABELS: Final[tuple[Label, ...]] = ("complaint", "wish", "praise", "thanks", "neutral")
HEAD: Final = "head"
TUNED: Final = Path(__file__).parent / "tuned-0.safetensors"
# The head's logits are multiplied by this: vectors have length one, and their cosines differ little.
SHARPNESS: Final = 8.0

# How much of each text is read, in characters of Latin script; a Chinese or Japanese one counts twice.
FOLLOWUP_CHARS: Final = 240
REPLY_BEGIN_CHARS: Final = 80
REPLY_END_CHARS: Final = 70
QUESTION_CHARS: Final = 120
SEPARATOR: Final = " ◀ "


@dataclass(frozen=True, slots=True)
class Said:
    """What was said after a reply to a question."""

    question: str
    reply: str
    followup: str


def seen(said: Said) -> str:
    """Return the text that the embedder reads.

    >>> seen(Said("Why?", "Because  of\\ngravity.", "too long"))
    'too long ◀ Because of gravity. ◀ Why?'
    """
    reply = " ".join(said.reply.split())
    begin, end = _cut(reply, REPLY_BEGIN_CHARS), _cut(reply, REPLY_END_CHARS, end=True)
    if len(begin) + len(end) < len(reply):
        reply = f"{begin} … {end}"
    followup = _cut(" ".join(said.followup.split()), FOLLOWUP_CHARS)
    question = _cut(" ".join(said.question.split()), QUESTION_CHARS)
    return SEPARATOR.join(filter(None, (followup, reply, question)))


def _cut(text: str, chars: int, *, end: bool = False) -> str:
    """The beginning or end of a text that has about so many characters of Latin script."""
    part = text[-chars:] if end else text[:chars]
    eastern = sum(map(is_cjk, part))
    kept = max(1, chars - eastern // 2 - eastern % 2) if eastern else chars
    return part[-kept:] if end else part[:kept]

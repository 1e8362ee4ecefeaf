"""Tells a client's chore by the conversation that it stands beside, whatever its words.

A title, tags, a summary, facts to remember: a client asks for these in a request of its own, with
one message that carries what was said in a conversation that goes on at the same time. So a request
without a reply in it is a chore when it shows both what a person said and what was replied, each on
a line of its own, behind a label or in a field, or when it shows what was said behind a label and
orders JSON. A person who asks for a title, tags or JSON does nothing of the kind, and neither does
a program that puts whole conversations or examples into one message: its next request begins with
the same words as the one before.

A guess may be wrong: when the conversation that it begins goes on, or somebody rates its reply, it
was a person's (learner.intake). Chores that a request alone gives away are marked by the agent, and
stay chores unless the whole conversation goes on.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from sqlmodel import Session

from learner.link.alike import is_mark
from learner.link.conversation import Link, speaks
from learner.link.layers import Layer, Texts, asks_the_same
from learner.link.lookup import Lookup
from learner.link.normal import normal, spoken
from learner.link.pieces import Echo, echoes_of, last_asked
from streams.records import Message, Turn
from streams.store.states import UNTRAINED
from streams.store.tables import TurnRow

# A chore is asked for while the conversation goes on, or right after a reply.
BESIDE_MS: Final = 15 * 60 * 1000
# Shorter requests carry no transcript.
TRANSCRIPT_CHARS: Final = 60
# So much of a message is looked for: clients cut long ones, and keep their beginnings.
PROBE_CHARS: Final = 60
# A message as short as this must be the whole of a line: others may begin like it by chance.
SHORT_CHARS: Final = 12
# No more of a request is read, at its beginning and at its end.
READ_CHARS: Final = 32_768
# A label stands this near to the beginning of its line: "**Assistant (gpt-4o):**".
LABEL_CHARS: Final = 40

# Links by these carry the whole conversation: the request goes on with it, and quotes nothing else.
WHOLE: Final[tuple[Layer, ...]] = ("named", "chain", "talk")
# Links by these do where the reply is the request's last, behind the same reply and question as it
# was given, or a mark for the question: a summary stands for a conversation behind others, or none.
LAST: Final[tuple[Layer, ...]] = ("session", "pair", "normal", "wrapped")

_JSON: Final = re.compile(r"json", re.IGNORECASE)


def beside(session: Session, request: Turn) -> bool:
    """Return whether a request is a chore beside one of the newest turns of its principal."""
    text = _alone(request)
    if text is None:
        return False
    lookup = Lookup(session, request)
    known = [
        each.candidate.id
        for each in lookup.neighbours(within_ms=BESIDE_MS)
        if each.state != UNTRAINED
    ]
    return any(carries(text, texts) for texts in lookup.texts(known).values())


def beside_it(session: Session, turn: Turn) -> list[str]:
    """Return which turns that came in before a turn are chores beside it: they may be quicker."""
    if not speaks(turn):
        return []
    said = Texts(reply=turn.reply.content or "", asked=last_asked(turn.messages))
    lookup = Lookup(session, turn)
    known = [each.candidate.id for each in lookup.neighbours(within_ms=BESIDE_MS, alone=True)]
    asked = {id: texts.asked for id, texts in lookup.texts(known).items()}
    return [
        id for id, text in asked.items() if len(text) >= TRANSCRIPT_CHARS and carries(text, said)
    ]


def goes_on(row: TurnRow, link: Link, request: Turn) -> bool:
    """Return whether somebody goes on with what was taken for a chore, so that it was none."""
    if not speaks(request):
        return False
    if link.layer in WHOLE:
        return True
    guessed = row.record.get("purpose") != "chore"
    last = echoes_of(request.messages)[-1:] if guessed and link.layer in LAST else []
    return any(each.after == link.messages and _is_behind_the_same(each, row) for each in last)


def _is_behind_the_same(echo: Echo, row: TurnRow) -> bool:
    """Return whether before an echo stand the reply and the question that a turn was given to."""
    if echo.before_key != row.echo_key or echo.asked_key is None:
        return False
    asked = last_asked([Message.model_validate(each) for each in row.record["messages"]])
    texts = Texts(reply=row.record["reply"].get("content") or "", asked=asked)
    return is_mark(echo.asked) or asks_the_same(echo, texts)


def carries(text: str, said: Texts) -> bool:
    """Return whether a message shows what was said in a conversation, as a transcript does.

    >>> said = Texts(reply="It is Paris.", asked="What is the capital of France?")
    >>> carries("Titel?\\nNutzer: What is the capital of France?\\nHelfer: It is Paris.", said)
    True
    >>> carries("What is the capital of France? Answer in JSON only, please.", said)
    False
    """
    asked, reply = _probe(said.asked), _probe(spoken(said.reply))
    if not asked:
        return False
    text = _read(text)
    if len(normal(text)) <= len(asked) + len(reply) or _probe(text) == asked:
        return False  # it is no longer than what was said, or of the same template
    on_lines, behind_labels = _beginnings(text)
    in_fields = normal(text)

    def labelled(probe: str) -> bool:
        whole = '"' if len(probe) < SHORT_CHARS else ""
        return f'":"{probe}{whole}' in in_fields or _begins(behind_labels, probe)

    def shown(probe: str) -> bool:
        return labelled(probe) or _begins(on_lines, probe)

    if reply and shown(asked) and shown(reply):
        return True
    return labelled(asked) and _JSON.search(text) is not None


def _begins(parts: Iterable[str], probe: str) -> bool:
    if len(probe) < SHORT_CHARS:
        return probe in parts
    return any(part.startswith(probe) for part in parts)


def _alone(request: Turn) -> str | None:
    """Return the text of a request that has no history and may be a chore."""
    if not speaks(request) or any(m.role in ("assistant", "tool") for m in request.messages):
        return None
    text = last_asked(request.messages)
    return text if len(text) >= TRANSCRIPT_CHARS else None


def _probe(said: str) -> str:
    """Return the beginning of a message's first line, as normal text."""
    lines = (normal(line) for line in said[:READ_CHARS].splitlines())
    return next((line for line in lines if line), "")[:PROBE_CHARS]


def _read(text: str) -> str:
    if len(text) <= 2 * READ_CHARS:
        return text
    return f"{text[:READ_CHARS]}\n{text[-READ_CHARS:]}"


def _beginnings(text: str) -> tuple[list[str], list[str]]:
    """Return the beginnings of a text's lines, and those behind labels and tags, as normal text."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    on_lines = [normal(line[: 4 * PROBE_CHARS]) for line in lines]
    behind = [normal(part) for line in lines for part in _behind_label(line)]
    return on_lines, behind


def _behind_label(line: str) -> Iterator[str]:
    for found in re.finditer(r"[:：>\]]\W{0,4}", line[:LABEL_CHARS]):
        yield line[found.end() :][: 4 * PROBE_CHARS]
        # a label's bold marks or a quotation mark may belong to what was said
        yield line[found.start() + 1 :][: 4 * PROBE_CHARS]

"""Makes notes of wishes: what stands in their person's prompts from the next reply on.

An instruction in a prompt acts on everything that is asked behind it, so few words become one: a
standing wish of the person themself, read by rules from their own message or typed as feedback,
short, never quoted, with no tool or document in the conversation, and never against the operator's
words. What rules can see of a wish is put in words of ours. What was said of one answer (a date,
a name) is no standing wish.

Several notes are one person's, so the newest wins: over one that contradicts it, and over the
oldest where there are too many. Whoever takes a note away is not given it again before they
complain of the same again.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlmodel import Session, col, select

from learner.form.directions import Direction, Kind, forbidden_in, opposes, says_more
from learner.judges.acts.wording import OWN_WORDING, TELLING
from learner.judges.wishes import hint_of
from learner.settings import group_of
from streams.records import Judgement, Note, NoteState
from streams.store import offsets, outbox
from streams.store.lesson_tables import LessonRow, NoteRow
from streams.store.tables import TurnRow
from streams.wire import id_of

# Judges that give a person's own words; what a model says, or a program, is in no prompt.
_OWN_WORDS: Final = ("explicit", "lexical")
# Quotes, code, links, markup: words of somebody else, or more than words.
_FOREIGN: Final = re.compile(r"[\"“”„«»`<>{}\[\]|\\]|https?:|www\.|\n")
# A note is no longer than so many characters a word: some languages put no space between words.
CHARS_A_WORD: Final = 10
_NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_LANGUAGES: Final = {
    "en": "English", "de": "German", "fr": "French", "es": "Spanish", "it": "Italian",
    "pt": "Portuguese", "zh": "Chinese", "ja": "Japanese",
}  # fmt: skip


def _count(value: str) -> str:
    return _NUMBERS[int(value)] if int(value) < len(_NUMBERS) else value


def _sentences(value: str) -> str:
    if int(value) == 1:
        return "Answer in one short sentence only."
    return f"Answer in at most {_count(value)} sentences."


_WORDS: Final[Mapping[Kind, Callable[[str], str]]] = {
    "most words": lambda n: f"Use at most {n} words.",
    "most sentences": _sentences,
    "shorter": lambda _: "Answer in one short sentence only.",
    "longer": lambda _: "Answer in more detail.",
    "least words": lambda n: f"Use at least {n} words.",
    "yes or no": lambda _: "Answer only yes or no.",
    "lines": lambda n: f"Write {_count(n)} lines.",
    "list": lambda _: "Answer with a list.",
    "no list": lambda _: "Do not use lists.",
    "plain text": lambda _: "Use plain text without markdown.",
    "capitals": lambda _: "Write everything in capital letters.",
    "table": lambda _: "Answer with a table.",
    "json": lambda _: "Answer only with JSON.",
    "emoji": lambda _: "Use emojis.",
    "no emoji": lambda _: "Do not use emojis.",
    "no apology": lambda _: "Do not apologise.",
    "ends with a question": lambda _: "End with a question.",
    "no question": lambda _: "Do not end with a question.",
    "ends with": lambda phrase: f"End with the words: {phrase}",
    "starts with": lambda phrase: f"Start with the words: {phrase}",
    "says": lambda phrase: f"Use the words: {phrase}",
    "says not": lambda phrase: f"Do not use the words: {phrase}",
    # who reads "use the words: Max" says "I'm Max"
    "called": lambda name: f"The user's name is {name}.",
    "language": lambda name: f"Answer in {_LANGUAGES[name]}.",
}


@dataclass(frozen=True, slots=True)
class NoteRules:
    """How long a note may be, and how many one principal has."""

    words: int
    most: int


def note_id(lesson: str) -> str:
    """Return the id of a lesson's note, the same however often it is made.

    >>> note_id("0a" * 12)
    'note_0a0a0a0a0a0a0a0a0a0a0a0a'
    """
    return f"note_{lesson}"


def text_of(lesson: LessonRow, rule: str) -> str | None:
    """Return a lesson as a standing instruction; None: it is none.

    rule: by which the words were read
    """
    wished = [Direction(*each) for each in lesson.wished]
    standing = [each for each in wished if each.kind not in ("says", "says not")]
    if rule in TELLING and not standing:
        return None  # what this one answer should have said
    if wished and not says_more(lesson.instruction):
        return " ".join(_WORDS[each.kind](each.value) for each in wished)
    known = lesson.instruction in OWN_WORDING.values()
    return lesson.instruction if known or rule not in TELLING else None


def why_none(
    row: TurnRow, lesson: LessonRow, given: Sequence[Judgement], rules: NoteRules
) -> tuple[str | None, str]:
    """Return a complaint's note, or None and why it is none.

    row: what is complained of
    given: the judgements on it
    """
    own = [
        each
        for each in given
        if each.hint and each.source in _OWN_WORDS and each.principal == row.principal
    ]
    if not own or not lesson.instruction:
        return None, "no words of their own"
    messages = [*row.record.get("messages", []), *(row.next_state or [])]
    if row.record.get("tools") or any(message.get("role") == "tool" for message in messages):
        return None, "tools are in the conversation"
    text = text_of(lesson, own[-1].evidence)
    if text is None:
        return None, "it is about one answer"
    refused = hint_of(text).refused or hint_of(lesson.instruction).refused
    if refused:
        return None, refused
    if _FOREIGN.search(text):
        return None, "it quotes, or is more than words"
    if len(text.split()) > rules.words or len(text) > CHARS_A_WORD * rules.words:
        return None, f"it has more than {rules.words} words"
    return text, ""


def consider(
    session: Session,
    row: TurnRow,
    lesson: LessonRow,
    given: Sequence[Judgement],
    rules: NoteRules,
) -> None:
    """Let a new complaint's wish act at once, if it may; the caller commits, and publishes."""
    text, _ = why_none(row, lesson, given, rules)
    if text is None:
        return
    note = session.get(NoteRow, note_id(lesson.id))
    if note is None:
        note = NoteRow(
            id=note_id(lesson.id),
            line=row.line,
            principal=row.principal,
            lesson=lesson.id,
            text=text,
            state="active",
            created_ms=row.created_ms,
        )
    elif note.state == "active" and note.text == text:
        return
    note.text, note.version = text, None
    _change(session, note, "active", row.id)
    _make_room(session, note, rules)


def taken_away(session: Session, lesson: str, *, turn_id: str) -> None:
    """Remove the note of a lesson that nobody complains of any more: the words were taken back."""
    others = select(TurnRow.id).where(TurnRow.lesson == lesson, TurnRow.id != turn_id)
    note = session.get(NoteRow, note_id(lesson))
    if note is not None and note.state == "active" and session.exec(others).first() is None:
        _change(session, note, "removed", turn_id)


def let_go(session: Session, lesson: str) -> None:
    """Delete the note of a lesson that is gone; agents have been told that it acts no more."""
    note = session.get(NoteRow, note_id(lesson))
    if note is not None:
        session.delete(note)


def removed(session: Session, record: Note) -> None:
    """Take note that somebody has taken a note of theirs away."""
    row = session.get(NoteRow, record.note)
    if row is not None and row.principal == record.principal:
        row.state = "removed"
        session.add(row)


def tell_again(session: Session, record: Note, moment: str) -> None:
    """Tell agents what a note is now, where they have read another record of it a second time.

    With them its last record counts, and a crash may put an old one behind a newer one.

    moment: names this reading among others of the note
    """
    row = session.get(NoteRow, record.note)
    if row is None:
        if record.text and record.state == "active":
            gone = {"id": id_of(record.note, "gone", moment), "state": "removed", "text": ""}
            _send(session, record.model_copy(update=gone))
    elif (row.state, row.text) != (record.state, record.text):
        publish(session, row, moment)


def retire(session: Session, id: str, *, version: int, moment: str) -> None:
    """Take a note out of prompts, since a version's weights hold what it says.

    version: its number
    moment: what names this retirement among others of the note
    """
    row = session.get(NoteRow, id)
    if row is not None and row.state == "active":
        row.version = version
        _change(session, row, "retired", moment)


def act_again(session: Session, note: NoteRow, rules: NoteRules, *, moment: str) -> None:
    """Put a retired note back into prompts, as what serves does not hold what it says any more.

    It is gone instead where nobody complains of it any more, a note that came since contradicts it,
    or there is no room.

    moment: what names this change among others of the note
    """
    others = _active_beside(session, note)
    complained = select(TurnRow.id).where(TurnRow.lesson == note.lesson).limit(1)
    against = any(_are_against(session, note, other) for other in others)
    has_room = len(others) < rules.most and not against
    acts = has_room and session.exec(complained).first() is not None
    note.version = None
    _change(session, note, "active" if acts else "removed", moment)


def _make_room(session: Session, note: NoteRow, rules: NoteRules) -> None:
    """Take away what contradicts a new note, and the oldest that are too many."""
    for place, other in enumerate(_active_beside(session, note)):
        if place + 1 >= rules.most or _are_against(session, note, other):
            _change(session, other, "removed", note.id)


def _active_beside(session: Session, note: NoteRow) -> Sequence[NoteRow]:
    """Read the other notes that act on the same person, the newest first."""
    theirs = select(NoteRow).where(
        NoteRow.line == note.line,
        NoteRow.principal == note.principal,
        NoteRow.state == "active",
        NoteRow.id != note.id,
    )
    return session.exec(theirs.order_by(col(NoteRow.created_ms).desc(), NoteRow.id)).all()


def _are_against(session: Session, one: NoteRow, other: NoteRow) -> bool:
    """Tell whether no reply can meet both, or one forbids what the other wishes."""
    (wished, forbidden), (theirs, denied) = _told(session, one), _told(session, other)
    return (
        opposes(wished, theirs) or not denied.isdisjoint(wished) or not forbidden.isdisjoint(theirs)
    )


def _told(session: Session, note: NoteRow) -> tuple[list[Direction], frozenset[Direction]]:
    """Return what a note wishes, and what it forbids besides."""
    lesson = session.get(LessonRow, note.lesson)
    if lesson is None:
        return [], frozenset()
    wished = [Direction(*each) for each in lesson.wished]
    return wished, frozenset(forbidden_in(lesson.instruction))


def _change(session: Session, row: NoteRow, state: NoteState, moment: str) -> None:
    row.state = state
    session.add(row)
    session.flush()
    publish(session, row, moment)


def publish(session: Session, row: NoteRow, moment: str) -> None:
    """Tell agents what has become of a note; a line's learner is told by agents alone.

    Its own word comes back later, and would be older than what it has decided since.

    moment: names this change among others of it
    """
    record = Note(
        id=id_of(row.id, row.state, moment),
        note=row.id,
        line=row.line,
        principal=row.principal,
        text=row.text,
        state=row.state,
        version=row.version,
        created_ms=row.created_ms,
    )
    _send(session, record)


def _send(session: Session, record: Note) -> None:
    outbox.put(session, "notes", record.note, record, line=record.line)
    offsets.pass_over(session, group_of(record.line), "notes", record.id)

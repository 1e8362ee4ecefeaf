"""What the endpoints of notes answer, as types."""

from typing import Literal

from typing_extensions import TypedDict

from streams.records import Note, NoteState


class NoteShown(TypedDict):
    """A note as its principal sees it."""

    id: str
    text: str
    created_at: int  # Unix seconds
    state: NoteState
    version: int | None  # number of the version whose weights hold it


class NoteList(TypedDict):
    """All of a principal's notes, the oldest first."""

    object: Literal["list"]
    data: list[NoteShown]


class NoteDeleted(TypedDict):
    """A note that was taken away."""

    id: str
    deleted: Literal[True]


def shown(note: Note) -> NoteShown:
    """Return a note as its principal sees it."""
    return {
        "id": note.note,
        "text": note.text,
        "created_at": note.created_ms // 1000,
        "state": note.state,
        "version": note.version,
    }

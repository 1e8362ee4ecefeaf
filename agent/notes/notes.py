"""The notes that this agent knows: standing wishes of principals, put into their own prompts.

A note acts on its principal and line alone, on plain conversation: not on chores, on texts that
are gone on with as they stand, nor where a client offers tools or asks for a form, which a wish of
style would disturb. Tools of the agent's own disturb nothing: whoever talks to it is told an
answer. A note comes with the log (topic `notes`), as what serves does, and its last record counts;
what was said before its principal was forgotten never does.

Knows nothing of tokens or HTTP.
"""

import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from agent.errors import NotFoundError
from agent.settings import AgentSettings, is_loopback
from agent.turn.ask import Ask
from streams.records import Forgotten, Note

# A principal's notes that are told: all that act, and of the others the newest.
LISTED: Final = 100


def notes_act(settings: AgentSettings) -> bool:
    """Return whether notes act here at all.

    Without keys everybody is one principal: right for one person on their own machine, and wrong
    where strangers share a service, whose prompts must not carry each other's wishes.
    """
    if settings.notes == "auto":
        return bool(settings.keys) or is_loopback(settings.host)
    return settings.notes == "on"


class Notes:
    """Notes by principal. Any thread may ask; the follower writes."""

    def __init__(self, settings: AgentSettings, remove: Callable[[Note], Awaitable[Note]]) -> None:
        """Know none.

        remove: writes down that a note is taken away, and returns what was written
        """
        self._line, self._acts, self._remove = settings.line, notes_act(settings), remove
        self._lock = threading.Lock()
        self._notes: dict[str, dict[str, Note]] = {}  # principal → id → its last record
        self._forgotten: dict[str, int] = {}  # principal → the moment, Unix milliseconds

    def take(self, record: Note) -> None:
        """Take what has become of a note."""
        with self._lock:
            gone = record.created_ms <= self._forgotten.get(record.principal, -1)
            known = self._notes.setdefault(record.principal, {})
            if gone or not record.text:
                known.pop(record.note, None)
            else:
                known[record.note] = record

    def forget(self, record: Forgotten) -> None:
        """Let go of what a principal wished up to a moment."""
        with self._lock:
            until_ms = max(record.created_ms, self._forgotten.get(record.principal, -1))
            self._forgotten[record.principal] = until_ms
            known = self._notes.get(record.principal, {})
            self._notes[record.principal] = {
                id: note for id, note in known.items() if note.created_ms > until_ms
            }

    def of(self, principal: str) -> list[Note]:
        """Return a principal's notes that act and the newest others, the oldest first.

        raises: NotFoundError where notes do not act
        """
        known = self._known(principal)
        others = [note.note for note in known if note.state != "active"]
        room = max(0, LISTED - (len(known) - len(others)))
        hidden = set(others[: max(0, len(others) - room)])
        return [note for note in known if note.note not in hidden]

    async def remove(self, id: str, principal: str) -> None:
        """Let a note of a principal's own act no more; one that acts no more stays so.

        raises: NotFoundError for one that it does not have; UnavailableError
        """
        note = next((note for note in self._known(principal) if note.note == id), None)
        if note is None:
            raise NotFoundError(f"there is no note {id[:100]!r} of yours", param="id")
        if note.state != "removed":
            self.take(await self._remove(note))

    def acting(self, ask: Ask) -> tuple[Ask, Sequence[Note]]:
        """Return an ask with the notes that act on it, and those that the weights make needless.

        Both are none where notes do not act on what is asked, or the request does not want them.
        """
        names = {tool["function"]["name"] for tool in ask.tools or []}
        plain = ask.raw is None and names <= ask.served.keys() and ask.constraint is None
        if not (self._acts and ask.wants_notes and plain) or ask.purpose != "main":
            return ask, ()
        known = self.of(ask.principal)
        if not known:
            return ask, ()
        active = tuple(note for note in known if note.state == "active")
        return replace(ask, notes=active), [note for note in known if note.state == "retired"]

    def _known(self, principal: str) -> list[Note]:
        if not self._acts:
            raise NotFoundError("notes do not act here (agent.notes)", param="notes")
        with self._lock:
            known = list(self._notes.get(principal, {}).values())
        ordered = sorted(known, key=lambda note: (note.created_ms, note.note))
        return [note for note in ordered if note.line == self._line]

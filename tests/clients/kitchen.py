"""An API whose replies are scripts, and what the learner makes of what was recorded there."""

import time
from pathlib import Path
from typing import Any

from sqlmodel import select

from streams.log.contract import records_now
from streams.log.sqlite import SqliteLog
from streams.records import Turn
from streams.settings import StreamsSettings
from streams.store.store import open_store
from streams.store.tables import TurnRow
from tests.clients.live import Live
from tests.learner.link.played import play


class Kitchen:
    """An API, and what was recorded of it."""

    def __init__(self, home: Path, api: Live) -> None:
        self._home, self.api = home, api

    def play(self, *scripts: Any) -> None:
        """Let replies be these, one after the other."""
        engine: Any = self.api.engine
        first, *then = [[each] if isinstance(each, str) else each for each in scripts]
        engine.script, engine.then = first, then

    def _turns(self, *, wait_s: float = 30) -> list[Turn]:
        """Read what was recorded; a turn is, only after its client has the reply."""
        told = len(self.api.engine.streams)  # type: ignore[attr-defined]
        log, end_s = SqliteLog(self._home / "log.db"), time.monotonic() + wait_s
        try:
            while time.monotonic() < end_s:
                turns = [each for each in records_now(log, "turns") if isinstance(each, Turn)]
                if len(turns) >= told:
                    break
            return turns
        finally:
            log.close()

    def links(self) -> list[tuple[str, str | None]]:
        """Take everything that was recorded; return each reply and that of the turn after it."""
        turns, next_turn = self._linked()
        said = {turn.id: turn.reply.content or _calls(turn) for turn in turns}
        return [(said[turn.id], said.get(next_turn[turn.id] or "")) for turn in turns]

    def scores(self) -> list[int | None]:
        """Return what the word lists made of each turn, after `followed`."""
        turns, store = self._turns(), open_store(StreamsSettings(home=self._home / "learner"))
        with store.reading() as session:
            rows = dict(session.exec(select(TurnRow.id, TurnRow.score)).all())
        store.close()
        return [rows[turn.id] for turn in turns]

    def followed(self) -> list[int | None]:
        """Take everything that was recorded; return for each turn which one follows it."""
        turns, next_turn = self._linked()
        place = {turn.id: place for place, turn in enumerate(turns)}
        return [place.get(next_turn[turn.id] or "") for turn in turns]

    def _linked(self) -> tuple[list[Turn], dict[str, str | None]]:
        turns = self._turns()
        store = open_store(StreamsSettings(home=self._home / "learner"))
        play(store, turns)
        with store.reading() as session:
            next_turn = dict(session.exec(select(TurnRow.id, TurnRow.next_turn)).all())
        store.close()
        return turns, next_turn


def _calls(turn: Turn) -> str:
    return " ".join(each["function"]["name"] for each in turn.reply.tool_calls or [])

"""What the service that learns has written down: its versions in order, and what was held."""

from pathlib import Path
from typing import Final

from sqlmodel import select

from deploy.operate.history import store_session
from deploy.operate.history import versions as read_versions
from streams.settings import StreamsSettings
from streams.store.states import HELD
from streams.store.tables import GenerationRow

LINE: Final = "main"
EVERYTHING: Final = 100_000  # versions; more than minutes can bring


class Past:
    """The store of one service, read only."""

    def __init__(self, home: Path) -> None:
        """home: the service's folder; its store may not be there yet"""
        self._file, self._settings = home / "store.db", StreamsSettings(home=home)

    def number(self, version: str) -> int:
        """Count the versions from the base to this one, as the ledger has them."""
        if not self._file.exists():  # the learner has not begun
            return 0
        with store_session(self._settings) as session:
            made = read_versions(session, LINE, EVERYTHING)
        return next((each.recipe.number for each in made if each.recipe.version == version), 0)

    def held(self) -> list[str]:
        """Return the reasons of generations that the gate held, one each."""
        if not self._file.exists():
            return []
        with store_session(self._settings) as session:
            rows = session.exec(select(GenerationRow).where(GenerationRow.state == HELD))
            return [row.reason for row in rows]

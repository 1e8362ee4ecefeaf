"""What has happened so far, as the store and the log tell it: rows for people, read only.

The topic `rollouts` decides which version serves a line; the store's table may lag behind it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlmodel import Session, and_, col, select

from deploy.errors import BaseMeantError, DeployError
from streams.errors import StreamsError
from streams.line import ledger
from streams.line.became import changes_of, ended, ends_of
from streams.line.line import WORDS, Line, is_number
from streams.line.offer import decided
from streams.log.contract import Log
from streams.open import open_log
from streams.records import Json
from streams.settings import StreamsSettings
from streams.store.store import Store, open_store
from streams.store.tables import (
    IS_VERDICT,
    ArtefactRow,
    GenerationRow,
    JudgementRow,
    RecipeRow,
    TurnRow,
)

CHANGES = 1000  # of one version that are looked at: a trial has some ten
SHOWN_CHARS = 64  # of a text that names no version
NAMED = 5  # of the versions that a text may mean, in a refusal


def has_store(settings: StreamsSettings) -> bool:
    """Return whether there is a store: a database that is named, or the home's own file."""
    return settings.store is not None or (settings.home.expanduser() / "store.db").exists()


@contextmanager
def existing_store(settings: StreamsSettings) -> Iterator[Store]:
    """Open the store; it must be there already.

    raises: DeployError saying how to make one; SchemaError, StoreUnavailableError
    """
    if not has_store(settings):
        raise DeployError(
            f"nothing has been learned in {settings.home.expanduser().absolute()} yet: start "
            "`quickset up`, or name the folder with --home"
        )
    store = open_store(settings)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def existing_log(settings: StreamsSettings) -> Iterator[Log]:
    """Open the log; an embedded one must be there already.

    A command that is run in another folder than the service would otherwise make a log of its own
    there, and say that it had done what the service never hears of.

    raises: DeployError saying how to make one; LogUnavailableError, SchemaError
    """
    home = settings.home.expanduser()
    if settings.log == "sqlite" and not (home / "log.db").exists():
        raise DeployError(
            f"no service has run in {home.absolute()}: start `quickset up`, or name the folder of "
            "the one that is meant with --home"
        )
    log = open_log(settings)
    try:
        yield log
    finally:
        log.close()


@contextmanager
def store_session(settings: StreamsSettings) -> Iterator[Session]:
    """Open the store for reading; raises as `existing_store`."""
    with existing_store(settings) as store, store.reading() as session:
        yield session


def serving(settings: StreamsSettings, line: str) -> Line | None:
    """Return what serves a line by the log; None while the base does.

    raises: as `existing_log`
    """
    with existing_log(settings) as log:
        return decided(log, line)


@dataclass(frozen=True, slots=True)
class Version:
    """A version with the generation that made it, and what became of it since."""

    recipe: RecipeRow
    generation: GenerationRow | None
    ended: Json | None  # the change that decided last on it (streams.line.became)

    @property
    def state(self) -> str:
        """What became of it: by its trial or afterwards, else by its generation."""
        if self.ended is not None:
            return str(self.ended["became"])
        return self.generation.state if self.generation else ""

    @property
    def reason(self) -> str:
        """Why it is in that state."""
        if self.ended is not None:
            return str(self.ended["reason"])
        return self.generation.reason if self.generation else ""


def versions(session: Session, line: str, limit: int) -> list[Version]:
    """Return the newest versions of a line, newest first."""
    newest = select(RecipeRow).where(RecipeRow.line == line)
    newest = newest.order_by(col(RecipeRow.number).desc(), col(RecipeRow.created_ms).desc())
    rows = session.exec(newest.limit(limit)).all()
    names = [row.version for row in rows]
    by_child = ledger.made_each(session, names)
    ends = ends_of(session, line, names)
    return [Version(r, by_child.get(r.version), ends[r.version]) for r in rows]


def find_version(
    session: Session, start: str, *, line: str, now: Callable[[], Line | None]
) -> Version:
    """Return the version of a line with this number, or else the one whose name begins like this.

    A number is never taken for how a name begins where the line has a version of that number; of
    several, the one on the way to what serves is meant. A name may be another line's. `stable`,
    `previous` and `candidate` are what they are now.

    now: reads what serves the line, where that decides; None: the base, and nothing before
    raises: BaseMeantError when it is the base; DeployError when there is none, or more than one: it
        names these
    """
    name = _now_meant(start, line, now) if start in WORDS else start
    rows: Sequence[RecipeRow] = ()
    by = "are number"
    if is_number(name):
        rows = _numbered(session, int(name), line, now)
    if name and not rows:
        by = "begin with"
        begins = col(RecipeRow.version).startswith(name, autoescape=True)
        rows = session.exec(select(RecipeRow).where(begins).limit(NAMED + 1)).all()
    if not rows and _is_base(session, name):
        raise BaseMeantError(
            f"{start[:SHOWN_CHARS]} is the base, which has no recipe and is no version of the "
            "ledger: `quickset reset` lets it serve"
        )
    if len(rows) != 1:
        raise DeployError(_not_one(rows, name, by, line))
    found = rows[0].version
    changes = changes_of(session, rows[0].line, [found], CHANGES)
    return Version(rows[0], ledger.made(session, found), ended(found, changes))


def _numbered(
    session: Session, number: int, line: str, now: Callable[[], Line | None]
) -> Sequence[RecipeRow]:
    """Return the versions with a number that may be meant; a rollback leaves several of one."""
    numbered = and_(RecipeRow.line == line, RecipeRow.number == number)
    rows = session.exec(select(RecipeRow).where(numbered).limit(NAMED + 1)).all()
    if len(rows) > 1:
        with suppress(DeployError, StreamsError):  # else nobody knows which, and all are named
            serving_now = now()
            way = ledger.chain(session, serving_now.version) if serving_now else []
            if number <= len(way):
                return [session.get_one(RecipeRow, way[number - 1].version)]
    return rows


def _now_meant(word: str, line: str, now: Callable[[], Line | None]) -> str:
    """Return the name of what a word means now. Raises: DeployError when there is none."""
    decided_now = now() or Line(line, ("base",))
    name = decided_now.named(word)
    if name is None:
        raise DeployError(f"the line {line} has no {word} version now")
    return name


def _is_base(session: Session, name: str) -> bool:
    """Tell whether a name is the base's: the parent of all that are number 1."""
    if name in ("0", "base"):
        return True
    first = select(RecipeRow.parent).where(RecipeRow.number == 1).limit(1)
    return bool(name) and (session.exec(first).first() or "").startswith(name)


def _not_one(rows: Sequence[RecipeRow], start: str, by: str, line: str) -> str:
    if rows:
        names = [row.version for row in rows[:NAMED]] + ["…"] * (len(rows) > NAMED)
        return f"more than one version {by} {start}: {', '.join(names)}: say which, by its name"
    return (
        f"no version begins with {start[:SHOWN_CHARS]!r}, and none of the line {line} is of that "
        "number: `quickset versions list` names them"
    )


def moved_by(session: Session, made: GenerationRow) -> list[tuple[str, float]]:
    """Return each principal's share of the weight of a generation's turns, the largest first."""
    ids = [item["turn_id"] for item in made.batch]
    rows = session.exec(select(TurnRow.id, TurnRow.principal).where(col(TurnRow.id).in_(ids)))
    principals = dict(rows.all())
    total = sum(item["weight"] for item in made.batch) or 1.0
    shares: dict[str, float] = {}
    for item in made.batch:
        name = principals.get(item["turn_id"], "not kept any more")
        shares[name] = shares.get(name, 0.0) + item["weight"] / total
    return sorted(shares.items(), key=lambda each: -each[1])


def turns(session: Session, line: str, limit: int) -> list[tuple[TurnRow, list[JudgementRow]]]:
    """Return the newest turns of a line with their judgements, newest first.

    What waits for its judge is no judgement.
    """
    newest = select(TurnRow).where(TurnRow.line == line)
    rows = session.exec(newest.order_by(col(TurnRow.sequence).desc()).limit(limit)).all()
    ids = [row.id for row in rows]
    verdicts = select(JudgementRow).where(col(JudgementRow.turn_id).in_(ids), IS_VERDICT)
    by_turn: dict[str, list[JudgementRow]] = {}
    for verdict in session.exec(verdicts.order_by(col(JudgementRow.created_ms))):
        by_turn.setdefault(verdict.turn_id, []).append(verdict)
    return [(row, by_turn.get(row.id, [])) for row in rows]


def generations(session: Session, line: str, limit: int) -> list[Json]:
    """Return the newest generations of a line, newest first, without single members' fitness."""
    names = (
        "number", "parent", "child", "state", "reason", "reward", "fitness_mean", "fitness_spread",
        "gain", "kl", "step", "planned_ms", "done_ms", "turn_ids", "coefficients",
    )  # fmt: skip
    query = select(*(getattr(GenerationRow, name) for name in names))
    query = query.where(GenerationRow.line == line).order_by(col(GenerationRow.number).desc())
    found = []
    for row in session.execute(query.limit(limit)):
        value = row._asdict()
        value["turns"] = len(value.pop("turn_ids"))
        value["pairs"] = len(value.pop("coefficients"))
        found.append(value)
    return found


def frozen_units(session: Session) -> list[Json]:
    """Return the masks and unit maps of the store, newest first: their units by layer."""
    rows = session.exec(select(ArtefactRow).order_by(col(ArtefactRow.created_ms).desc())).all()
    return [_units(row) for row in rows if isinstance(row.body.get("neurons"), dict)]


def _units(row: ArtefactRow) -> Json:
    neurons, groups = row.body["neurons"], row.body.get("groups") or {}
    layers = sorted({int(layer) for layer in (*neurons, *groups)})
    by_layer = [
        {
            "layer": layer,
            "neurons": len(neurons.get(str(layer), ())),
            "groups": len(groups.get(str(layer), ())),
        }
        for layer in layers
    ]
    return {
        "digest": row.digest,
        "kind": row.kind,
        "created_ms": row.created_ms,
        "neurons": sum(layer["neurons"] for layer in by_layer),
        "groups": sum(layer["groups"] for layer in by_layer),
        "layers": by_layer,
    }

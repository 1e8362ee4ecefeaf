"""Assembles a learner's parts from its settings: what judges, what moves, what is frozen.

The one place of this package that chooses implementations.
"""

import logging
import time
from typing import Any

from sqlmodel import Session, select

from kernels.contract import Backend
from kernels.memory import give_back
from learner.idle.idle import open_idle
from learner.idle.pace import IdlePause
from learner.judges.open import open_judges, open_slow_judges
from learner.lessons.notes import NoteRules
from learner.parts import Parts
from learner.safety.anchors import Anchors
from learner.safety.gate import Gate
from learner.safety.kept import KeptBase
from learner.safety.measuring import Measuring
from learner.safety.units.unit_map import load_unit_map, other_policy
from learner.serving import Serving
from learner.settings import SEARCHED, LearnerSettings, group_of
from learner.verdicts import Rules
from streams.line import ledger
from streams.line.masks import keep_mask, mask_of
from streams.line.snapshots import Snapshots
from streams.log.contract import Log
from streams.log.sqlite import MAX_RECORD_BYTES
from streams.model.embedding.embed import embedder_when_asked
from streams.model.open import BaseModel
from streams.open import open_retention, open_snapshots
from streams.records import Mask
from streams.settings import StreamsSettings
from streams.store import offsets, outbox
from streams.store.insert import insert_new
from streams.store.lease import Lease
from streams.store.store import Store
from streams.store.tables import OutboxRow

_LOG = logging.getLogger(__name__)


def open_parts(
    measuring: Measuring,
    streams: StreamsSettings,
    settings: LearnerSettings,
    *,
    store: Store,
    log: Log,
    lease: Lease,
    pause: IdlePause,
) -> Parts:
    """Open a learner's parts: its mask and gate, what it does when idle, what is kept.

    measuring: the base and how it is measured
    raises: LedgerError when the line's mask is not in the store
    """
    mask = line_mask(store, lease, measuring, settings)
    gate = Gate(measuring, settings, defers=True)
    return assemble(
        measuring.base,
        mask,
        settings,
        store=store,
        log=log,
        lease=lease,
        backend=measuring.backend,
        gate=gate,
        pause=pause,
        idle=open_idle(gate, settings, pause),
        retention=open_retention(streams, log, line=settings.line, group=group_of(settings.line)),
        max_record_bytes=streams.max_record_bytes,
        snapshots=open_snapshots(streams),
        kept=measuring.kept,
    )


def assemble(
    base: BaseModel,
    mask: Mask,
    settings: LearnerSettings,
    *,
    max_record_bytes: int = MAX_RECORD_BYTES,
    snapshots: Snapshots | None = None,
    kept: KeptBase | None = None,
    first: bool = True,
    **others: Any,
) -> Parts:
    """Make a learner's parts from its settings: what moves, which judges judge.

    kept: what this machine has measured of the base
    first: False where a line is run again: nobody outside is asked, and no note is written
    others: the rest of Parts, by name
    """
    num_layers = base.decoder.num_layers
    layers, modules = settings.moving(num_layers)
    if settings.noise not in SEARCHED and settings.last_layers > num_layers:
        more = "learner.last_layers is %d, and the model has %d blocks: all of them move"
        _LOG.info(more, settings.last_layers, num_layers)
    rules = Rules(
        line=settings.line,
        judges=open_judges(settings),
        idle_close_ms=int(settings.idle_close_s * 1000),
        max_record_bytes=max_record_bytes,
        slow=open_slow_judges(settings) if first else (),
        embedder=embedder_when_asked(),
        notes=NoteRules(settings.note_words, settings.notes_per_principal)
        if first and settings.note_words
        else None,
    )
    backend: Backend = others["backend"]
    serving = Serving(base, backend, mask, layers=layers, modules=modules, snapshots=snapshots)
    anchors = Anchors(base, backend=backend, moving=len(layers), kept=kept)
    return Parts(serving=serving, rules=rules, settings=settings, anchors=anchors, **others)


def line_mask(store: Store, lease: Lease, measuring: Measuring, settings: LearnerSettings) -> Mask:
    """Return the frozen units of the line: those that it began with, or now measured and kept.

    A mask goes to the log before the first recipe that names it, whichever line kept it first.

    raises: LedgerError when the line's mask is not in the store
    """
    with store.reading() as session:
        newest = ledger.head(session, settings.line)
        if newest is not None:
            mask = mask_of(session, [newest])
            if told := other_policy(session, mask, settings):
                _LOG.warning("%s", told)
            return mask
    unit_map = load_unit_map(measuring, settings, progress=_tell)
    give_back()
    with store.transaction() as session:
        lease.check(session)
        insert_new(session, unit_map.row(created_ms=_now_ms()))
        keep_mask(session, unit_map.mask, created_ms=_now_ms())
        if not _is_on_its_way(session, unit_map.mask, settings.line):
            outbox.put(session, "recipes", settings.line, unit_map.mask, line=settings.line)
    return unit_map.mask


def _tell(stage: str, share: float) -> None:
    _LOG.info("measuring the base: %s, %.0f %%", stage, 100 * share)


def _is_on_its_way(session: Session, mask: Mask, line: str) -> bool:
    """Return whether the line's learner will publish a mask, or has read it from the log."""
    waits = select(OutboxRow.number).where(OutboxRow.line == line, OutboxRow.id == mask.digest)
    waiting = session.exec(waits).first() is not None
    return waiting or offsets.has_used(session, group_of(line), "recipes", mask.digest)


def _now_ms() -> int:
    return int(time.time() * 1000)

"""Turns a model into its unit map as an artefact: a file named by its digest, and a row.

The file is the artefact's canonical JSON: its SHA-256 is the digest. What a learner of this machine
has measured is read, and what is measured here learners read.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.operate.history import existing_store, has_store
from kernels.open import open_backend
from learner.safety.kept import kept_of
from learner.safety.measuring import measuring_of
from learner.safety.units.measured import Progress
from learner.safety.units.unit_map import load_unit_map
from learner.settings import LearnerSettings
from streams.line import ledger
from streams.model.open import load_base
from streams.records import canonical_json
from streams.settings import ModelSettings, StreamsSettings
from streams.store.insert import insert_new
from streams.store.tables import ArtefactRow


@dataclass(frozen=True, slots=True)
class Drawn:
    """The map as it was written.

    kept: whether it is in the store, which the console reads
    in_force: the mask that the line has by its newest version; None: it has none yet
    """

    digest: str
    body: dict[str, Any]
    file: Path
    kept: bool
    in_force: str | None


def map_units(
    streams: StreamsSettings, model: ModelSettings, learner: LearnerSettings, progress: Progress
) -> Drawn:
    """Measure a base's units, unless this machine has, and write the map.

    raises: ModelFilesError, BackendMissingError, OSError
    """
    progress("opening the model", 0.0)
    base = load_base(model)
    backend = open_backend(model.backend, base.decoder.device)
    home = streams.home.expanduser()
    known = kept_of(model, base.name)
    measuring = measuring_of(base, learner, backend=backend, kept=known)
    unit_map = load_unit_map(measuring, learner, progress=progress)
    row = unit_map.row(created_ms=int(time.time() * 1000))
    digest, body = row.digest, row.body
    file = home / "artefacts" / f"unit-map-{digest[:16]}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(canonical_json(body))
    kept, in_force = _kept(streams, learner.line, row)
    return Drawn(digest, body, file, kept, in_force)


def _kept(streams: StreamsSettings, line: str, row: ArtefactRow) -> tuple[bool, str | None]:
    if not has_store(streams):
        return False, None
    with existing_store(streams) as store, store.transaction() as session:
        insert_new(session, row)
        newest = ledger.head(session, line)
        return True, newest.mask if newest else None

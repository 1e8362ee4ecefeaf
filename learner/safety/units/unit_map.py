"""Turns a base model into its unit map: the class of every unit, and which of them are frozen.

The same scores and settings give the same mask, exactly. A line that has a mask keeps it: the Mask
record on its log decides, not a second measurement.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, select

from learner.safety.measuring import Measuring
from learner.safety.prompts import load_prompts
from learner.safety.units.classes import (
    Classes,
    UnitSizes,
    classes_of,
    stability,
    unit_sizes,
)
from learner.safety.units.measured import Measured, Progress, Scores, measured_units, unseen
from learner.safety.units.policies import frozen_units
from learner.settings import Freeze, LearnerSettings
from streams.records import Mask, canonical_json
from streams.store.tables import ArtefactRow


@dataclass(frozen=True, slots=True)
class UnitMap:
    """The frozen units, with the scores that made them so."""

    mask: Mask
    measured: Measured | None  # none: nothing was to be frozen
    policy: Freeze
    frozen_share: float
    sizes: UnitSizes

    @property
    def classes(self) -> Classes | None:
        """The class of every unit; None where nothing was measured."""
        return classes_of(self.measured) if self.measured else None

    def row(self, created_ms: int) -> ArtefactRow:
        """Return the artefact for the store, named by the digest of its body."""
        body = self.body()
        digest = hashlib.sha256(canonical_json(body)).hexdigest()
        return ArtefactRow(digest=digest, kind="unit-map", body=body, created_ms=created_ms)

    def body(self) -> dict[str, Any]:
        """Return the map as JSON.

        Of each frozen unit: its number, worst I_S and I_U over the sets, in hundredths of a σ. Of
        all units the class, a letter each (learner.safety.units.classes.LETTERS).
        """
        body: dict[str, Any] = {
            "mask": self.mask.digest,
            "base": self.mask.base,
            "prompts": self.measured.prompts if self.measured else "",
            "policy": self.policy,
            "frozen_share": self.frozen_share,
            "neurons": {},
            "groups": {},
        }
        return body | (self._figures(self.measured) if self.measured else {})

    def _figures(self, measured: Measured) -> dict[str, Any]:
        classes = classes_of(measured)
        parameters = classes.parameters(self.sizes)
        total, frozen = sum(parameters.values()), self._frozen_parameters()
        return {
            "seeds": measured.num_seeds,
            "neurons": _scored(self.mask.neurons, measured.neurons),
            "groups": _scored(self.mask.groups, measured.groups),
            "classes": classes.texts(),
            "parameters": parameters | {"frozen": frozen},
            "shares": {
                name: round(count / total, 5)
                for name, count in (parameters | {"frozen": frozen}).items()
            },
            "stability": stability(measured),
        }

    def _frozen_parameters(self) -> int:
        neurons = sum(map(len, self.mask.neurons.values()))
        groups = sum(map(len, self.mask.groups.values()))
        return neurons * self.sizes.neuron + groups * self.sizes.group


def load_mask(measuring: Measuring, settings: LearnerSettings) -> Mask:
    """Return the frozen units of a base, measuring them when this machine has not yet."""
    return load_unit_map(measuring, settings).mask


def load_unit_map(
    measuring: Measuring, settings: LearnerSettings, *, progress: Progress = unseen
) -> UnitMap:
    """Return the unit map of a base; see `load_mask`."""
    base = measuring.base
    policy, share, sizes = settings.freeze, settings.frozen_share, unit_sizes(base.decoder)
    if policy == "top-complex" and share == 0:
        return UnitMap(Mask(base=base.name, neurons={}, groups={}), None, policy, share, sizes)
    measured = measured_units(
        measuring, load_prompts("calibration"), seeds=settings.unit_seeds, progress=progress
    )
    mask = Mask(
        base=base.name,
        neurons=frozen_units(policy, measured.neurons, share),
        groups=frozen_units(policy, measured.groups, share),
    )
    return UnitMap(mask, measured, policy, share, sizes)


def other_policy(session: Session, mask: Mask, settings: LearnerSettings) -> str | None:
    """Say so where a line's mask was made by another policy than the settings'; else None."""
    wanted = settings.freeze, settings.frozen_share
    for row in session.exec(select(ArtefactRow).where(ArtefactRow.kind == "unit-map")):
        if row.body.get("mask") == mask.digest:
            # a map without a policy was made before there was another one
            made = row.body.get("policy", "top-complex"), row.body["frozen_share"]
            if made == wanted:
                return None
            return (
                f"the line {settings.line} keeps the frozen units that it began with, those of"
                f" {made[0]} with a share of {made[1]}: learner.freeze {wanted[0]} with"
                f" {wanted[1]} is for new lines"
            )
    return None


def _scored(frozen: dict[int, list[int]], scores: Scores) -> dict[str, list[list[int]]]:
    safety, utility = scores[:, 0].min(axis=0), scores[:, 1].min(axis=0)
    return {
        str(layer): [[unit, int(safety[layer, unit]), int(utility[layer, unit])] for unit in units]
        for layer, units in frozen.items()
    }

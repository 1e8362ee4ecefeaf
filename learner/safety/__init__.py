"""What must not be unlearned: which units are frozen, and what a reply is worth to the gate."""

from learner.safety.units.unit_map import UnitMap, load_mask, load_unit_map

__all__ = ["UnitMap", "load_mask", "load_unit_map"]

"""8 gate: which units never move, and what a candidate must still do to be released.

For others: bank, gate, probes.open, replies, units.classes, units.measured, units.unit_map.
"""

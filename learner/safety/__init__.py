"""8 gate: which units never move, and what a candidate must still do to be released.

For others: choices, collapse, drift, gate, probes.open, probes.tasks, replies, sets,
units.unit_map.
"""

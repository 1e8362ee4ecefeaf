"""8 gate: which units never move, and what a candidate must still do to be released.

For others: anchors, gate, kept, measuring, probes.open, probes.tasks, prompts, prompts.sets,
readings.choices, readings.replies, readings.sets, units.classes, units.measured, units.unit_map,
watched.
"""

"""The commands about what serves a line: versions, rollouts, lessons, frozen units, off switch.

For others: lessons, reset, rollouts, safety, versions.
"""

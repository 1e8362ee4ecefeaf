"""The commands about what serves a line: its versions, its rollouts, its lessons, its off switch.

For others: lessons, reset, rollouts, versions.
"""

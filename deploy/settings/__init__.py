"""Settings from a file, the environment and flags, checked, with the origin of each value.

For others: load, reference.
"""

"""8 gate: what is watched over many versions: refusals that wear off, rewards that lead astray.

For others: collapse, drift, unasked.
"""

"""1 answer: many replies decoded together, each on the version that it began with.

For others: contract, engine.
"""

"""Perturbation arithmetic: noise, members, exact updates, log-probabilities, versions. No I/O.

Read in this order: change (what a generation does to one tensor), contract (what every backend
guarantees), reference (the same to read), then version (a chain of recipes to proved weights) and
model (the transformer that they are the weights of).
"""

# transformers looks for a Hugging Face package of this name and compares its version:
# this one must read as too old to be it.
__version__ = "0.0.0"

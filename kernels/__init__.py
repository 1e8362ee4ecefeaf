"""Perturbation arithmetic: signs, members, exact updates, log-probabilities. No I/O.

Read in this order: noise (where every random sign comes from), members (a linear layer that
many perturbed copies share), update (integers that never drift), logprob (scores without
logits), then backend (one contract, several implementations) and forward (the transformer
that they serve).
"""

# transformers looks for a Hugging Face package of this name and compares its version:
# this one must read as too old to be it.
__version__ = "0.0.0"

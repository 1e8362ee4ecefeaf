"""1 answer: what a reply shall be held to, tried in a process that may end before it is compiled.

For others: holding, job, prover.
"""

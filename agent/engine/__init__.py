"""1 answer: many replies decoded together, each on the variant that it was assigned.

For others: contract, engine, passes, sampler, spelling, text.
"""

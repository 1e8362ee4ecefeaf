"""5 population: perturbed members scored on shared texts, forward passes only.

For others: aboutness, anchor, members, noise, noises.open, packing, scoring, screen, shortlist,
spared.
"""

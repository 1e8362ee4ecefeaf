"""5 population: perturbed members scored on shared texts, forward passes only.

For others: aboutness, anchor, directed, members, noise, noises.open, packing, scoring, screen,
shortlist, slopes, spared.
"""

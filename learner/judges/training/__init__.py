"""Fits the judge by embedding to the labelled examples: `python -m learner.judges.training`.

Nothing here runs in a service.
"""

"""Trains the judge by embedding on the labelled examples: `python -m learner.judges.training`.

Nothing here runs in a service.
"""

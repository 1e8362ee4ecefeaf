"""9 rollout: which version serves a line, what is on trial, and what a generation came to.

For others: claims, closer, evidence.evidence, evidence.reading, release, trials, webhook.
"""

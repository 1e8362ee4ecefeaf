"""9 rollout: which version serves a line, what is on trial, and what a generation came to.

For others: claims, evidence, release, trials, webhook.
"""

"""9 rollout: which version serves a line, and what a generation came to.

For others: claims, release.
"""

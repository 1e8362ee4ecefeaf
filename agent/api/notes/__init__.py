"""Our own endpoints of notes: what stands in one's prompts, and how it is taken away.

For others: routes.
"""

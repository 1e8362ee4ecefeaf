"""1 answer: tool calls found in a reply while it is sampled.

For others: calls.
"""

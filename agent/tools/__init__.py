"""1 answer: tool calls found in a reply while it is sampled, in the form of the model's family.

For others: calls, families, finder, format, held, hermes, served.
"""

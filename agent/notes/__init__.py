"""1 answer: standing wishes of principals, put into their own prompts until the weights hold them.

For others: notes.
"""

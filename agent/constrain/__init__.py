"""1 answer: what a reply is held to, made into masks of the tokens that may come next.

For others: contract, masks, open, source, vocabulary.
"""

"""3 judge: what a wish asks of a reply's length, form, words, end or language, told by rules.

For others: directions, obeys, operator.
"""

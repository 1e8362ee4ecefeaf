"""4 batch: what each person wishes of a line, and whether learning it has helped.

For others: assign, learned, lessons, notes, review, unlearned.
"""

"""What a learner does while nothing is due, and how it keeps to its share of the machine.

For others: idle, pace, tidy, watching.
"""

"""7 update: from fitness to integers, and to the child that they make.

For others: candidate, generation, strategies.
"""

"""6 fitness: from log-probabilities to a number for each turn and member.

For others: evaluate, fitness, held_out, news, reference.
"""

"""Settings of the judges, the lessons and the gate, which learner.settings puts together.

For others: gate, hearing.
"""

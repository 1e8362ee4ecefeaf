"""What somebody said, taken out of the store.

For others: plans, store.
"""

"""What is kept for how long: retention, and what somebody wants forgotten.

Knows nothing of weights, or of when there is time for it.

For others: erase, forgotten, leap, pack, retention.
"""

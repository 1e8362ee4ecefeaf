"""What is kept for how long: retention, and what somebody wants forgotten.

For others: erase, forgotten, retention.
"""

"""What programs ask of the agent itself: whether it lives, takes requests, and its metrics.

For others: routes.
"""

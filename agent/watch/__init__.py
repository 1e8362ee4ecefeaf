"""What the agent tells of itself: counters for Prometheus, events for people.

For others: events, heard, lessons, metrics, reading, safety, units.
"""

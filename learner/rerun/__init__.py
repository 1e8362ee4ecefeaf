"""A line worked out again as if somebody had never been there.

For others: branch, own_home, rebuild.
"""

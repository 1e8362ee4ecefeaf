"""The arithmetic to read: plain NumPy, the yardstick of the others.

For others: backend, moments, noise, update.
"""

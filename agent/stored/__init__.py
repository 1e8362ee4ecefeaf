"""1 answer: replies that may be asked for again, read back from the log into a file

For others: projection, stored.
"""

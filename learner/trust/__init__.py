"""4 batch: how much one principal may weigh.

For others: shares, crowd, people.
"""

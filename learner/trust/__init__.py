"""4 batch: how much one principal may weigh.

For others: clusters, shares, crowd, people.
"""

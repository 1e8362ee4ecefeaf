"""4 batch: how much one principal may weigh.

For others: agreed, clusters, crowd, people, shares.
"""

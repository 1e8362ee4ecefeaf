"""4 batch: how much one principal may weigh.

For others: agreed, backing, clusters, crowd, manner, people, shares.
"""

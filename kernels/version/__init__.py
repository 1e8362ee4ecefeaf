"""A version's integers: which tensors move, which units stay, a chain of recipes to weights.

For others: build, digits, factors, layout, mask, master, moved, recipe, walk.
"""

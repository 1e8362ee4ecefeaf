"""The compiled loops of decoding on processors: stored products, attention, the walk, the draw.

For others: attention, draw, heads, lanes, step, strips, vectors.
"""

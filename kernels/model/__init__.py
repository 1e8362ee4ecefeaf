"""The transformer that backends and versions serve: forward pass, past, decoding, stored layers.

For others: blocks, decode, forward, kv, layers, model, packed, read.
"""

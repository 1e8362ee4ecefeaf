"""The transformer that backends and versions serve: forward pass, past, decoding, stored layers.

For others: blank, blocks, decode, forward, kv, layers, model, packed, read.
"""

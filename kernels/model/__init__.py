"""The transformer that backends and versions serve: forward pass, past, decoding, packed layers.

For others: decode, forward, kv, layers, model, packed, together.
"""

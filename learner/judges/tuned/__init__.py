"""What somebody says after a reply, as chances: an encoder that was tuned on labelled examples.

For others: encoder.
"""

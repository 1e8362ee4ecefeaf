"""The base model: opened, converted, its chat template; the one room with torch.

For others: config, convert, open, prompt, weights.
"""

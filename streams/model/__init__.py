"""The base model: opened, converted, its chat template; the one room with torch.

For others: config, convert, embed, open, prompt, weights.
"""

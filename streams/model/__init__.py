"""The base model: opened, converted, its chat template; the one room with torch.

For others: convert, embed, open, prompt.
"""

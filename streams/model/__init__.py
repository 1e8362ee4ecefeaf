"""The base model: opened, converted, its chat template; the one room with torch.

For others: config, convert, e5_file, e5_tokens, embed, open, prompt, weights.
"""

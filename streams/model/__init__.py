"""The base model: opened, converted, its chat template; the one room with torch.

For others: aside, config, convert, embedding.e5_file, embedding.e5_tokens, embedding.embed, files,
open, prompt, weights.
"""

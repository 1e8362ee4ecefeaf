"""OpenAI's Embeddings: POST /v1/embeddings, where the extra embedder is installed.

For others: routes.
"""

"""OpenAI's Embeddings: POST /v1/embeddings, where the agent has an embedder.

For others: routes.
"""

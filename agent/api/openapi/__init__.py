"""The description of the API, made from its endpoints: GET /openapi.json, and /docs to read it.

For others: document, routes.
"""

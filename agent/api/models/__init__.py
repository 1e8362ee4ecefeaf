"""What can be asked for: GET /v1/models and one of them by its name.

For others: models, routes.
"""

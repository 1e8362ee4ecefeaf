"""The JSON of each API: a body in, an Ask out; reply events in, the API's objects out.

For others: chat.routes, completions.routes, embeddings.routes, feedback.routes, health.routes,
messages.errors, messages.routes, models.routes, openapi.routes, operation, responses.routes, serve.
"""

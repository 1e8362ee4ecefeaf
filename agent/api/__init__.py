"""The JSON of each API: a body in, an Ask out; reply events in, the API's objects out.

For others: chat.routes, completions.routes, embeddings.routes, feedback.page, feedback.routes,
health.routes, langfuse.routes, messages.errors, messages.routes, models.routes, notes.routes,
openai, openapi.document, openapi.routes, openwebui.routes, operation, responses.routes, serve.
"""

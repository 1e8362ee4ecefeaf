"""OpenAI's Responses: POST /v1/responses, and what was answered, asked for again by its id.

For others: request, surface, stored.
"""

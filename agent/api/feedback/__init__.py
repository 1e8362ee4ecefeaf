"""What somebody says outright of a reply: /v1/feedback/{response_id}, and signed links to it.

For others: page, request, routes.
"""

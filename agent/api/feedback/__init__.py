"""What somebody says outright of a reply: PUT /v1/feedback/{response_id}.

For others: request, routes.
"""

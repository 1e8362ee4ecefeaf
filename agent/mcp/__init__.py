"""1 answer: tools of MCP servers that settings name, called by the agent itself, bounded in all.

For others: open, settings.
"""

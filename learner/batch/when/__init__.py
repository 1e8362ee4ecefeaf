"""When a generation may be planned."""

"""What a reply is held to: from the client's schema and tools to the grammar."""

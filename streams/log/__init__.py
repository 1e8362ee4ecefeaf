"""Records kept in their order: one contract, an embedded log and Kafka behind it.

Knows nothing of what a record means, and keeps no reader's place.

For others: contract, dead_letters, file, kafka.log, kafka.topics, mark, sqlite.
"""

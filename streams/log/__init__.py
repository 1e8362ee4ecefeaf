"""What was said, in order, kept: one contract, an embedded log and Kafka behind it.

For others: contract, dead_letters, file, kafka.log, kafka.topics, sqlite.
"""

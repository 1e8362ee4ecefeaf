"""Steps of the loop: use what the log brings, plan, train; all is written under the line's lease.

For others: consumer, planner, spans, trainer, writer.
"""

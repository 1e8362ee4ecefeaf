"""What operators do with a service from a shell: look, prove, promote, steer, take back, forget.

For others: forget, history, lessons, operator_api, promote, replay, reset, rollback, trial,
unit_map, unit_picture.
"""

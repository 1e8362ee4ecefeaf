"""Which units of a model carry its refusals: measured, mapped, frozen."""

"""Tools that the agent calls itself: offered to the model, called in a loop, told as one reply."""

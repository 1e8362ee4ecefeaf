"""How replies are made: several of one response in one order, and one beside it, unseen."""

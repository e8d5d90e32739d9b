"""Training: one model with its recipe and data becomes fitted weights with their history."""

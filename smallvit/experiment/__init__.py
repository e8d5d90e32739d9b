"""An experiment: all that one command of the trainer does."""

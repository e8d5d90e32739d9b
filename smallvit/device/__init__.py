"""What computes: the Keras backend, its device, and several devices together."""

"""One image in, answers and intermediates out."""

"""Parts that views are built from. They know no view."""

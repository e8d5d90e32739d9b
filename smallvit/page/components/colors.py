"""The colours of charts and drawings; style.css takes its colours from the theme."""

LINE_COLORS = ("#2f8fd8", "#d95f02", "#0f9960", "#c9589f", "#b07d00", "#9467e0")
"""Each has a contrast of at least 3 to the light and to the dark background. Neighbours differ in lightness or hue for
every kind of colour vision."""

REFERENCE_COLOR = "#808890"
"""The line that the others are compared with."""

MARK_COLOR, VACATED_COLOR = (240, 228, 66), (213, 94, 0)
"""RGB of the frame of a patch, and of the hatching; distinct for every kind of colour vision (Okabe and Ito)."""

"""Studies of what trained models do."""

import smallvit  # it sets the environment before anything imports Keras

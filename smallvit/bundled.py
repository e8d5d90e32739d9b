"""What comes with the project."""

from pathlib import Path

ASSETS = Path(__file__).parent.parent / "assets"
MODELS = ASSETS / "models"
EXAMPLES = ASSETS / "examples"
RESULTS = ASSETS / "results.json"

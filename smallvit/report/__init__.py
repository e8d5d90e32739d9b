"""The report on trained models: do SPT and LSA help on these images, and what is mistaken for what? One HTML file.

It holds its images and its style in itself, and loads nothing.
"""

from smallvit.evaluation.comparison import EvaluatedModel
from smallvit.report.document import conclusion, report

__all__ = ["EvaluatedModel", "conclusion", "report"]

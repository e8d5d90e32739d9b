"""The report on trained models: do SPT and LSA help on these pictures, and what is mistaken for what? One HTML file.

It holds its pictures and its style in itself, and loads nothing.
"""

from smallvit.report.comparison import EvaluatedModel
from smallvit.report.document import conclusion, report

__all__ = ["EvaluatedModel", "conclusion", "report"]

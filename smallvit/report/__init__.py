"""What trained models reached: the HTML report, figures, and the table of published results."""

from smallvit.report.evaluated_model import EvaluatedModel
from smallvit.report.html import conclusion, report

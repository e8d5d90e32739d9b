"""What trained models reached: the HTML report, figures, and the table of published results."""

from smallvit.report.html import EvaluatedModel, conclusion, report

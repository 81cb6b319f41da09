"""Reports on scored files: one HTML page, or tables and histograms in the terminal."""

from classifier.report.options import ReportOptions
from classifier.report.run import ReportSummary, report_files

__all__ = ["ReportOptions", "ReportSummary", "report_files"]

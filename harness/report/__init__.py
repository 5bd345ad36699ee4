"""A run as pages for people and tables for tools, made from what is stored of it alone."""

from harness.report.tables import SummaryTable
from harness.report.write import Report, make_report

__all__ = ["Report", "SummaryTable", "make_report"]

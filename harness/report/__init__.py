"""A run as pages for people and tables for tools, made from what is stored of it alone."""

from harness.report.tables import SummaryTable
from harness.report.write import Report, answer_line, make_report, summary_table, write_report

__all__ = ["Report", "SummaryTable", "answer_line", "make_report", "summary_table", "write_report"]

"""A run as pages for people and tables for tools, made from what is stored of it alone."""

from harness.report.tables import SummaryTable
from harness.report.write import answer_line, summary_table, write_report

__all__ = ["SummaryTable", "answer_line", "summary_table", "write_report"]

"""One run as one self-contained HTML page: verdict, charts, statistics, costs, provenance."""

from catalog.report.page import render, write_report
from catalog.report.source import CapitalTable, Execution, Feed, Refused, ReportInput, RunFacts

__all__ = [
    "CapitalTable",
    "Execution",
    "Feed",
    "Refused",
    "ReportInput",
    "RunFacts",
    "render",
    "write_report",
]

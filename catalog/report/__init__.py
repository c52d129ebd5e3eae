"""One run as one self-contained HTML page: verdict, charts, statistics, costs, provenance."""

from catalog.report.page import render, write_report
from catalog.report.source import Execution, Refused, ReportInput, RunFacts

__all__ = ["Execution", "Refused", "ReportInput", "RunFacts", "render", "write_report"]

"""REMEMBER: the Parquet catalog, the journal, statistics and reports."""

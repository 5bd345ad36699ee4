"""Ceiling: which server concurrency model fits a workload, measured; see docs/architecture.md."""

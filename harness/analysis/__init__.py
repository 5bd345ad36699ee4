"""What stored results say: metrics, frames, intervals, comparisons."""

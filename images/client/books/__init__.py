"""The books: what the hot path leaves as numbers, how it is counted, and how the counts of several processes add up."""

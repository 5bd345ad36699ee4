"""Judging a trial: what it rests on (`evidence`), its doubts about itself (`checks`), who gave out (`order`, `culprits`).

Pure: reports in, findings out. One rule is one small function with its constants and their reasons beside it;
docs/method.md says the same in sentences ("Checks", "Who gave out").
"""

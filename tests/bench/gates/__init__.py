"""The gates of METHOD.md's table, measured side by side in one run: `python -m tests.bench.gates [NAME …] [--json FILE]`."""

import sys

from tests.bench.beside import IMAGES

if str(IMAGES) not in sys.path:  # the client's own code is imported by some of them
    sys.path.insert(0, str(IMAGES))

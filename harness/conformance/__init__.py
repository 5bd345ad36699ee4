"""The conformance suite: what is asked of every server of protocol http, over plain sockets (docs/conformance.md).

It knows no model by name. `suite` lists the checks, `checks/` holds them, `bench` has the server under test, `wire` and
`messages` speak to it. What a model cannot be asked is "not applicable", never "passed".
"""

from harness.conformance.bench import Bench
from harness.conformance.scale import FULL, SHORT, Scale, held_at_most
from harness.conformance.suite import CHECKS, Check, Outcome, State, run_checks

__all__ = ["CHECKS", "FULL", "SHORT", "Bench", "Check", "Outcome", "Scale", "State", "held_at_most", "run_checks"]

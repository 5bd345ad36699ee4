"""Every model counts exactly: over 100,000 requests with churn, server and load client agree to the last one.

Each model and variant is loaded in turn over kept connections and with a connection per request, until both shares are
reached; then the exit report's `requests` must equal the right answers that the client counted in its whole life.
Run it alone: `python -m tests.bench.exact_counts`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.raw import ClientReport
from harness.spec.catalogue import load_models
from tests.bench.beside import IMAGES, NotMeasuredError, say
from tests.bench.servers import Model, serving

REQUESTS = 100_000
CHURNED = 10_000  # of them, each on a connection of its own
CONNECTIONS = 32
RUN_S = 3.0
DEADLINE_S = 60.0


def models() -> Iterator[Model]:
    """Every model that counts, with its defaults and with each other choice of each of its options."""
    for name, model in load_models(IMAGES).items():
        if model.counts != "exact":
            continue
        yield Model(name)
        for key, option in model.options.items():
            yield from (Model(name, {key: choice}) for choice in option.choices if choice != option.default)


def load(port: int, lifetime: str, core: int) -> ClientReport:
    """One run of the load client.

    Raises:
        NotMeasuredError: something went wrong with a request.
    """
    with tempfile.TemporaryDirectory(prefix="ceiling-bench-") as name:
        folder = Path(name)
        url = f"http://127.0.0.1:{port}/"
        config = {"format": 1, "url": url, "connections": CONNECTIONS, "lifetime": lifetime}
        timing = {"warmup_s": 0.1, "window_s": RUN_S, "timeout_s": 10.0, "wait_for_start": False}
        (folder / "config.json").write_text(json.dumps({**config, **timing}))
        command = ["taskset", "-c", str(core), sys.executable, str(IMAGES / "client" / "main.py"), name]
        environment = {**os.environ, "PYTHONPATH": str(IMAGES)}
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, timeout=DEADLINE_S, check=False
        )
        if done.returncode:
            raise NotMeasuredError(f"the client ended with status {done.returncode}:\n{done.stdout[-500:]}")
        return ClientReport.model_validate_json((folder / "out" / "client.json").read_bytes())


def agree(model: Model) -> bool:
    """Load one model and print its row; whether both sides counted the same."""
    cores = sorted(os.sched_getaffinity(0))
    answered, unknown = {"keep-alive": 0, "per-request": 0}, 0
    with serving(model, cores[0]) as server:
        while answered["per-request"] < CHURNED or sum(answered.values()) < REQUESTS:
            lifetime = "per-request" if answered["per-request"] < CHURNED else "keep-alive"
            report = load(server.port, lifetime, cores[-1])
            answered[lifetime] += report.life_ok
            unknown += report.life_unknown
        counted = server.stop().requests
    asked = sum(answered.values())
    same = counted is None or asked <= counted <= asked + unknown
    outcome = "not counted, as told" if counted is None else f"{counted:,} counted: {'exact' if same else 'WRONG'}"
    fates = f", {unknown} of unknown fate" if unknown else ""
    churned = answered["per-request"]
    say(f"  {model.label:<40} {asked:>9,} answers ({churned:,} churned{fates}), {outcome}")
    return same


def main(arguments: Sequence[str] = ()) -> int:
    """Check each model; 0 all exact, 1 one is not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", nargs="+", help="only these folders of images/")
    chosen = parser.parse_args(arguments).model
    say(f"exact counts, at least {REQUESTS:,} requests each, {CHURNED:,} of them on connections of their own")
    return 0 if all([agree(model) for model in models() if not chosen or model.name in chosen]) else 1  # noqa: C419 (all of them are to be seen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

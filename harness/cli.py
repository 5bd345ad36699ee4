"""The command line: verbs, options, exit codes. Everything heavy is imported where a verb needs it."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import EXIT_CANNOT_RUN, EXIT_DONE, EXIT_INTERRUPTED, EXIT_TRIALS_FAILED, HarnessError, SpecError
from harness.hosts_cli import app as hosts
from harness.testbed.cli import app as testbed

if TYPE_CHECKING:
    from harness.experiment import Outcome
    from harness.stage import Places

app = typer.Typer(
    name="harness",
    help="Ceiling: which server concurrency model fits a workload, measured. Exit codes: 0 done, 1 some trial failed, "
    "2 the input is wrong, 3 the environment cannot run it, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(testbed, name="testbed")
app.add_typer(hosts, name="hosts")


class RuntimeName(StrEnum):
    """Where services run."""

    auto = "auto"
    docker = "docker"
    process = "process"


class New(StrEnum):
    """What `harness new` makes."""

    model = "model"


class NewKind(StrEnum):
    """What a new model starts from."""

    python = "python"
    dockerfile = "dockerfile"


ResultsOption = Annotated[
    Path | None,
    typer.Option("--results", metavar="DIR", help="Where results are kept; results/ of the checkout by default."),
]
Spec = Annotated[Path, typer.Argument(metavar="SPEC", help="The experiment's YAML file.")]
RuntimeOption = Annotated[RuntimeName, typer.Option("--runtime", help="auto takes Docker where an engine answers.")]


@app.command()
def run(
    spec: Spec,
    runtime: RuntimeOption = RuntimeName.auto,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the newest unfinished run.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="With --resume: run failed trials again.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 when a trial is marked or invalid.")] = False,
    hosts: Annotated[
        str | None,
        typer.Option(
            "--hosts", metavar="INVENTORY", help="Run on the hosts of an inventory; on this machine by default."
        ),
    ] = None,
    results: ResultsOption = None,
) -> None:
    """Run an experiment and write its report."""
    from harness.experiment import Settings, run_experiment
    from harness.hosts_cli.inventories import EXPERIMENTS
    from harness.spec.inventories import find_inventory
    from harness.terminal import Display, print_summary

    if retry and not resume:
        raise SpecError(["--retry goes with --resume: it runs the failed trials of an unfinished run again"])
    inventory = find_inventory(hosts, EXPERIMENTS) if hosts is not None else None
    settings = Settings(runtime=runtime.value, resume=resume, retry=retry, inventory=inventory)
    outcome = run_experiment(spec, _places(results), settings, Display())
    if outcome.report is not None:
        print_summary(outcome.report)
    raise typer.Exit(_exit_code(outcome, strict=strict))


@app.command()
def plan(spec: Spec) -> None:
    """Check a spec; print its complete base trial, its trials and how long they take. Nothing is built."""
    from harness.planning import describe_plan

    for line in describe_plan(spec, _places()):
        typer.echo(line)


@app.command()
def report(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of an experiment that has results.")],
    run: Annotated[str | None, typer.Option("--run", metavar="RUN", help="A run's id; the newest by default.")] = None,
    results: ResultsOption = None,
) -> None:
    """Make the report again from stored results; needs neither Docker nor hosts."""
    from harness.report import make_report
    from harness.store import find_run
    from harness.terminal import print_summary

    print_summary(make_report(find_run(_places(results).results, name, run)))


@app.command()
def advise(
    rate: Annotated[str, typer.Option("--rate", help="The rate that is to be held, such as `1000/s`.")],
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of an experiment that searched for capacity.")
    ] = "cluster",
    slo: Annotated[
        str | None,
        typer.Option("--slo", help="What is good enough (`p99<50ms,errors<0.1%`); what was measured by default."),
    ] = None,
    headroom: Annotated[str, typer.Option("--headroom", help="Share to be held beyond the rate.")] = "20 %",
    run: Annotated[str | None, typer.Option("--run", metavar="RUN", help="A run's id; the newest by default.")] = None,
    results: ResultsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Say how many servers a demand takes, from stored results. Exit code 3: nothing that was measured answers."""
    from harness.advise import answer_demand, demand_of

    demand = demand_of(rate, headroom, slo)
    answer = answer_demand(_places(results).results, name, run, demand)
    for line in [json.dumps(answer.as_json())] if as_json else answer.lines():
        typer.echo(line)
    raise typer.Exit(EXIT_DONE if answer.answered else EXIT_CANNOT_RUN)


@app.command()
def serve(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder of images/.")],
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port of the loopback address.")],
    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="K=V", help="One of the model's options.")
    ] = None,
    runtime: RuntimeOption = RuntimeName.auto,
    body: Annotated[str, typer.Option(help="Size of the answer's body.")] = "128 B",
    cpu: Annotated[str, typer.Option(help="CPU work per request.")] = "0 us",
    echo: Annotated[bool, typer.Option("--echo", help="Answer with the request's own body.")] = False,
    log: Annotated[str, typer.Option(help="Access log: off, buffered or flush.")] = "off",
) -> None:
    """Run a model in the foreground, for curl, wrk or a browser; ends on Ctrl-C with its exit report."""
    from harness.serve import serve_model, trial_for
    from harness.terminal import Display

    handler = {"kind": "echo" if echo else "body", "body": body, "cpu": cpu, "log": log}
    places = _places()
    trial = trial_for(model, option or [], handler, places)
    serve_model(trial, port, runtime.value, places, Display())


@app.command()
def load(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="http[s]://host:port/path or stomp://host:port/destination; only load servers that are yours.",
        ),
    ],
    connections: Annotated[int, typer.Option("--connections", min=1, help="Connections held at once.")] = 10,
    rate: Annotated[
        str | None,
        typer.Option(
            "--rate",
            help="Open loop at this rate (`1000/s`), or at several one after the other (`100/s,200/s`); else a closed loop.",
        ),
    ] = None,
    ramp: Annotated[
        bool, typer.Option("--ramp", help="With several rates: in straight lines from each to the next.")
    ] = False,
    poisson: Annotated[bool, typer.Option("--poisson", help="Exponential gaps instead of constant ones.")] = False,
    hold: Annotated[
        bool,
        typer.Option("--hold", help="Hold the connections, with a thin stream of requests through them at --rate."),
    ] = False,
    growth: Annotated[
        str | None, typer.Option("--growth", help="With --hold: new connections a second on top (`50/s`).")
    ] = None,
    capacity: Annotated[
        bool,
        typer.Option("--capacity", help="Search for the highest rate that meets --slo; --window is a short trial's."),
    ] = False,
    resolution: Annotated[str, typer.Option(help="With --capacity: width of the interval searched for.")] = "5 %",
    confirmation: Annotated[str, typer.Option(help="With --capacity: window of the trial that decides.")] = "30s",
    slo: Annotated[
        str | None,
        typer.Option("--slo", help="What is good enough (`p99<50ms,errors<0.1%`); exit code 1 where it is missed."),
    ] = None,
    think: Annotated[str, typer.Option(help="Closed loop: mean think time, exponential.")] = "0s",
    warmup: Annotated[str, typer.Option(help="Load before the window, not counted.")] = "1s",
    window: Annotated[str, typer.Option(help="The measured time.")] = "10s",
    timeout: Annotated[str, typer.Option(help="Deadline of a request.")] = "5s",
    lifetime: Annotated[
        str, typer.Option(help="keep-alive, per-request, or a number of requests per connection.")
    ] = "keep-alive",
    method: Annotated[str, typer.Option(help="GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.")] = "GET",
    header: Annotated[
        list[str] | None, typer.Option("--header", metavar="'K: V'", help="A further request header.")
    ] = None,
    body: Annotated[str, typer.Option(help="Size of the request's body.")] = "0 B",
    mix: Annotated[
        list[str] | None,
        typer.Option("--mix", metavar="'WEIGHT METHOD PATH [BODY]'", help="A kind of request; several make a mix."),
    ] = None,
    processes: Annotated[int, typer.Option("--processes", min=1, max=256, help="Client processes, a core each.")] = 1,
    source: Annotated[
        list[str] | None, typer.Option("--source", metavar="IP", help="A source address; several in turn.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the schedule, the think times and the mix.")] = 1,
    ca: Annotated[
        str | None, typer.Option("--ca", metavar="FILE", help="PEM file of the certificates to trust; the system's.")
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Take any certificate.")] = False,
    hdr: Annotated[
        Path | None, typer.Option("--hdr", metavar="FILE", help="Write the histograms as an HdrHistogram log.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Load any server, and say what the client saw. Exit code 1: nothing was answered rightly, or the SLO was missed."""
    from harness.load import load_server, trial_of
    from harness.terminal import Display

    kind = "capacity" if capacity else "hold" if hold else "open" if rate else "closed"
    trial = trial_of(
        url, connections=connections, kind=kind, rate=rate, shape="ramp" if ramp else "staircase",
        arrivals="poisson" if poisson else "constant", growth=growth, resolution=resolution, confirmation=confirmation,
        slo=slo, think=think, warmup=warmup, window=window, timeout=timeout,
        lifetime=int(lifetime) if lifetime.isdecimal() else lifetime,
        method=method, body=body, headers=header or [], mix=mix or [], clients=processes, sources=source or [], ca=ca, insecure=insecure,
    )  # fmt: skip
    good = load_server(url, trial, seed, _places(), Display(), hdr=hdr, as_json=as_json)
    raise typer.Exit(EXIT_DONE if good else EXIT_TRIALS_FAILED)


@app.command()
def verify(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A folder of images/, or the path of a model's folder.")
    ],
    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="K=V", help="One of the model's options.")
    ] = None,
    runtime: RuntimeOption = RuntimeName.auto,
    short: Annotated[
        bool, typer.Option("--short", help="Less of everything: seconds instead of half a minute.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Put a server to the conformance suite: does it answer rightly, whatever its clients do?"""
    from harness.terminal import Display
    from harness.verify import line_of, summary_of, verify_model

    verified = verify_model(
        model, option or [], runtime.value, _places(), Display(),
        lambda outcome: typer.echo(line_of(outcome), err=as_json), short=short,
    )  # fmt: skip
    typer.echo(json.dumps(verified.as_json()) if as_json else summary_of(verified))
    raise typer.Exit(EXIT_DONE if verified.right else EXIT_TRIALS_FAILED)


@app.command()
def new(
    what: Annotated[New, typer.Argument(metavar="model", help="What to make; a model is all there is.")],  # noqa: ARG001 - one choice
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new folder of images/.")],
    kind: Annotated[
        NewKind, typer.Option("--kind", help="python, on images/common; or dockerfile: any program with an HTTP port.")
    ] = NewKind.python,
) -> None:
    """Make a new model: a folder of images/ that works as it is, to start from."""
    from harness.new import new_model, what_next

    folder = new_model(name, kind.value, _places().images)
    for line in what_next(folder, kind.value):
        typer.echo(line)


@app.command()
def clean(
    inventory: Annotated[
        str | None,
        typer.Argument(
            metavar="[INVENTORY]", help="Name of a file of experiments/hosts/; else this machine is cleaned."
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what belongs to runs that are, or may be, live.")
    ] = False,
    images: Annotated[bool, typer.Option("--images", help="Also our images.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Name what would be removed, and remove nothing.")] = False,
) -> None:
    """Remove what runs have left behind, by its labels and nothing else: here, or on the hosts of an inventory."""
    from harness.clean import Wanted, clean_here, clean_inventory, show
    from harness.hosts_cli.inventories import open_inventory

    wanted = Wanted(everything=everything, images=images, dry_run=dry_run)
    cleaned = (
        [clean_here(_places(), wanted)] if inventory is None else clean_inventory(open_inventory(inventory)[1], wanted)
    )
    show(cleaned, wanted)
    raise typer.Exit(EXIT_CANNOT_RUN if any(one.failed for one in cleaned) else EXIT_DONE)


def _places(results: Path | None = None) -> "Places":
    from harness.stage import Places

    return Places.under(Path(__file__).resolve().parent.parent, results)


def _exit_code(outcome: "Outcome", *, strict: bool) -> int:
    if outcome.interrupted:
        return EXIT_INTERRUPTED
    bad = {"failed", "void", "marked", "invalid"} if strict else {"failed", "void"}
    return EXIT_TRIALS_FAILED if bad & set(outcome.states.values()) else EXIT_DONE


@contextmanager
def _errors_in_a_line() -> Iterator[None]:
    """Expected errors end the command with their message and code; a defect keeps its traceback."""
    try:
        yield
    except HarnessError as error:
        typer.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        sys.exit(EXIT_DONE)
    except OSError as error:
        typer.echo(
            f"{error.filename or 'the system'}: {error.strerror or error}; make room or mend it, and run again",
            err=True,
        )
        sys.exit(EXIT_CANNOT_RUN)


def main() -> None:
    """Entry point of the command."""
    with _errors_in_a_line():
        app()

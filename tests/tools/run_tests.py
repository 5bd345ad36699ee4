"""`make test`, `make soak`, `make bench`: what they need is installed and started first, and what was started is stopped.

Exit status: 0 all passed; 1 something failed (no tests at all counts as failed); 3 the machine lacks something, with
the one thing to do; 130 interrupted.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "tests" / "tools" / "docker-engine.sh"
PYTEST = (sys.executable, "-m", "pytest")
# Three at once also on two cores: they mostly wait, for timeouts, windows of load, processes that end.
SLOW = (*PYTEST, "-n", "3", "-m", "slow and not (docker or browser or soak)", "--session-timeout=1800")
ENGINE_OR_BROWSER = (*PYTEST, "-m", "(docker or browser) and not soak", "--session-timeout=1800")
SOAK = (*PYTEST, "-m", "soak", "--timeout=3600", "--session-timeout=14400")
CHECK = ("make", "check")
EXIT_CANNOT_RUN = 3
GATED = ("accuracy", "held_many")  # no benchmark, and one that the gates run
BENCH_RUN = ".ceiling/bench/run.json"  # what the gates measured, for `make accuracy RUN=…`
ENGINE_DEADLINE_S = 1500  # the script itself gives up earlier

# The commands that tests and benchmarks call, by the Debian package that brings each.
PACKAGES = {
    "chromium": "chromium",
    "wrk": "wrk",
    "nginx": "nginx-light",
    "shellcheck": "shellcheck",
    "curl": "curl",
    "sshd": "openssh-server",
    "haproxy": "haproxy",
}
BENCH_PACKAGES = {"wrk": "wrk", "nginx": "nginx-light", "h2load": "nghttp2-client"}


class MachineError(Exception):
    """The machine lacks something; the message says what to do."""


def main(arguments: Sequence[str]) -> int:
    """Run all tests but the soak, or only the soak, or the benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("test", "soak", "bench"))
    what = parser.parse_args(arguments).what
    all_steps: dict[str, list[Sequence[str]]] = {
        "test": [CHECK, SLOW, ENGINE_OR_BROWSER],
        "soak": [SOAK],
        "bench": benchmarks(),
    }
    os.chdir(ROOT)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        install_packages(BENCH_PACKAGES if what == "bench" else PACKAGES)
        with nullcontext() if what == "bench" else docker_engine():
            status = run_all(all_steps[what])
            return EXIT_CANNOT_RUN if what == "bench" and status == EXIT_CANNOT_RUN else min(status, 1)
    except MachineError as error:
        print(f"make {what}: {error}", file=sys.stderr)
        return EXIT_CANNOT_RUN
    except KeyboardInterrupt:
        print(f"make {what}: interrupted", file=sys.stderr)
        return 130


def benchmarks() -> list[Sequence[str]]:
    """The gates, then every other program of tests/bench/; each says by its exit status whether its bars are met."""
    modules = sorted((ROOT / "tests" / "bench").glob("*.py"))
    gates = [
        (sys.executable, "tests/tools/bench_environment.py"),
        (sys.executable, "-m", "tests.bench.gates", "--json", BENCH_RUN),
    ]
    others = [
        (sys.executable, "-m", f"tests.bench.{path.stem}")
        for path in modules
        if path.stem not in GATED and '__name__ == "__main__"' in path.read_text()
    ]
    return [*gates, *others]


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def install_packages(packages_of: Mapping[str, str]) -> None:
    """Bring the commands that the tests or benchmarks call, each by its package.

    Raises:
        MachineError: some are missing and may not or could not be installed.
    """
    missing = _missing(packages_of)
    if not missing:
        return
    packages = " ".join(missing)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise MachineError(f"the tests also need {packages}; run as root: apt-get install {packages}")
    print(f"installing {packages} …", flush=True)
    with no_services_started():
        update_lists()
        apt_get("install", "--no-install-recommends", *missing)
    if still := " ".join(_missing(packages_of)):
        raise MachineError(f"apt-get installed no command for {still}; install it by hand, then run this again")


def _missing(packages_of: Mapping[str, str]) -> list[str]:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    return [package for command, package in packages_of.items() if shutil.which(command, path=path) is None]


def update_lists() -> None:
    """Refresh the lists of packages; another apt-get may hold them, as it does on a machine that has just started.

    Raises:
        MachineError: still not after a minute.
    """
    for wait_s in (10, 10, 20, 20, 0):
        try:
            return apt_get("update")
        except MachineError:
            if not wait_s:
                raise
            time.sleep(wait_s)


def apt_get(*arguments: str) -> None:
    """Run apt-get without questions, for at most ten minutes.

    Raises:
        MachineError: it failed; with the last of its output.
    """
    argv = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300", *arguments]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        argv,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
        check=False,
        text=True,
    )
    if done.returncode != 0:
        raise MachineError(f"`{' '.join(argv)}` ended with {done.returncode}:\n{done.stdout[-2000:]}")


@contextmanager
def no_services_started() -> Iterator[None]:
    """Keep packages from starting their daemons (nginx would take port 80): Debian asks policy-rc.d, if there is one."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)


@contextmanager
def docker_engine() -> Iterator[None]:
    """A running Docker engine; afterwards stopped if, and only if, it was started here.

    Raises:
        MachineError: there is none and none may be started; the script has said what to do.
    """
    # A session of its own: an interrupt does not reach it, and it is known in the end whether there is one to stop.
    with subprocess.Popen([ENGINE, "start"], start_new_session=True) as start:
        try:
            if start.wait(ENGINE_DEADLINE_S) != 0:
                raise MachineError("no Docker engine to test with (see above)")
            yield
        finally:
            if start.wait(ENGINE_DEADLINE_S) == 0:
                subprocess.run([ENGINE, "stop"], timeout=180, check=False, start_new_session=True)


def run_all(steps: Sequence[Sequence[str]]) -> int:
    """Run every step, also after one failed, and print which did; 3 where each of those ended with 3, else 1."""
    failed = [(step, status) for step in steps if (status := run(step))]
    for step, _ in failed:
        print(f"failed: {' '.join(step)}", file=sys.stderr)
    return min((1 if status != EXIT_CANNOT_RUN else status for _, status in failed), default=0)


def run(argv: Sequence[str]) -> int:
    """Run one step to its end; an interrupt is passed on once, and the step gets a minute to clean up after itself."""
    print(f"── {' '.join(argv)}", flush=True)
    with subprocess.Popen(argv, start_new_session=True) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
            raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

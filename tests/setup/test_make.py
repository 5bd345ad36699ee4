"""What people hand to make is data: it names an experiment, or it is refused; it never runs."""

import re

import pytest

from tests.setup.conftest import ROOT, Checkout

HOSTILE = [
    "a; touch pwned",
    "$(shell touch pwned)",
    "$$(touch pwned)",
    "`touch pwned`",
    '"; touch pwned; "',
    "' || touch pwned '",
    "x\ntouch pwned",
    "$(eval $(shell touch pwned))",
]
OUTSIDE = [
    "../x",
    "..",
    "/etc/passwd",
    "chapter/../../x",
    "chapter//tails",
    ".hidden",
    "-x",
    "quickstart.yaml",
    "hosts/local",
]


OTHERS = ("RUN", "RUNTIME", "RESUME", "RETRY", "STRICT", "MODEL", "PORT", "PYTHON")


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("variables", [("NAME",), OTHERS], ids=["NAME", "others"])
def test_a_value_is_never_executed(checkout: Checkout, variables: tuple[str, ...], value: str) -> None:
    given = {"NAME": "quickstart", "MODEL": "reactor", "PORT": "8080"} | dict.fromkeys(variables, value)
    checkout.has_only("python3", "echo 3.10 cpython pip")  # every recipe is read whole, and ends here at the latest
    for target in ("experiment", "report", "serve"):
        assert checkout.run("make", target, *(f"{name}={text}" for name, text in given.items())).returncode == 2
    assert not list(checkout.path.rglob("pwned"))


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_reaches_the_command_unchanged(checkout: Checkout, value: str) -> None:
    (checkout.path / "harness" / "setup.sh").write_text('#!/bin/sh\nprintf "<%s>" "$RUN"\nexit 3\n')
    done = checkout.run("make", "report", "NAME=quickstart", f"RUN={value}")
    assert done.stdout == f"<{value}>"
    assert not list(checkout.path.rglob("pwned"))


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_cannot_leave_experiments(checkout: Checkout, name: str) -> None:
    (checkout.path / "x.yaml").touch()
    done = checkout.run("make", "experiment", f"NAME={name}")
    assert done.returncode == 2
    assert "there are: chapter/tails quickstart" in done.stderr


@pytest.mark.parametrize("target", ["experiment", "plan"])
def test_without_a_name_it_lists_what_there_is(checkout: Checkout, target: str) -> None:
    done = checkout.run("make", target, environment={"NAME": "the-name-of-a-WSL-machine"})
    assert done.returncode == 2
    assert "NAME is missing, as in NAME=quickstart; there are: chapter/tails quickstart" in done.stderr


def test_a_name_in_a_folder_is_found(checkout: Checkout) -> None:
    done = checkout.run("harness/experiment-path.sh", environment={"NAME": "chapter/tails"})
    assert done.stdout == "experiments/chapter/tails.yaml\n"


def test_options_become_options_of_the_command(checkout: Checkout) -> None:
    given = ["NAME=quickstart", "RUNTIME=process", "RESUME=1", "RETRY=0", "STRICT=yes"]
    done = checkout.run("make", "-n", "experiment", *given)
    assert "--resume" in done.stdout
    assert "--retry" not in done.stdout
    assert "--strict" in done.stdout
    assert '--runtime="$RUNTIME"' in done.stdout


def test_help_lists_every_target(checkout: Checkout) -> None:
    listed = set(re.findall(r"^  make ([a-z-]+) ", checkout.run("make").stdout, flags=re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert phony is not None
    assert listed == set(phony[1].split())


def test_clean_keeps_results(checkout: Checkout) -> None:
    kept = checkout.path / "results" / "quickstart" / "spec.yaml"
    for file in (kept, checkout.path / ".venv" / "x", checkout.path / "tests" / "x", checkout.path / "images" / "x"):
        file.parent.mkdir(parents=True)
        file.touch()
    assert checkout.run("make", "clean").returncode == 0
    assert kept.exists()
    assert not (checkout.path / ".venv").exists()

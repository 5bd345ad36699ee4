"""A machine that cannot run Ceiling is told so in one line, with status 3, and nothing is made."""

import pytest

from tests.setup.conftest import Checkout

UNSUPPORTED = [
    pytest.param("uname", 'case "$1" in -s) echo Darwin ;; *) echo x86_64 ;; esac', "Darwin", id="macOS"),
    pytest.param("uname", 'case "$1" in -s) echo Linux ;; *) echo riscv64 ;; esac', "riscv64", id="another processor"),
    pytest.param("python3", "echo 3.10 cpython pip", "3.10", id="Python too old"),
    pytest.param("python3", "echo 3.15 cpython pip", "3.15", id="Python too new for the lock"),
    pytest.param("python3", "echo 3.11 pypy pip", "no supported Python", id="another implementation"),
    pytest.param("python3", "exit 127", "none", id="a shim that does not run"),
]


@pytest.mark.parametrize(("command", "script", "named"), UNSUPPORTED)
def test_unsupported_machine_gets_one_line(checkout: Checkout, command: str, script: str, named: str) -> None:
    checkout.has_only(command, script)
    done = checkout.run("harness/setup.sh", "runtime")
    assert (done.returncode, done.stdout) == (3, "")
    assert named in done.stderr
    assert "CPython 3.11 to 3.14" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (checkout.path / ".venv").exists()


def test_make_passes_the_line_on_and_fails(checkout: Checkout) -> None:
    checkout.has_only("uname", "echo Darwin")
    done = checkout.run("make", "experiment", "NAME=quickstart")
    assert done.returncode == 2
    assert "Darwin is not supported" in done.stderr


@pytest.mark.slow
def test_a_later_python_on_path_is_found(checkout: Checkout) -> None:
    (checkout.machine / "python3").rename(checkout.machine / "python3.12")
    checkout.has_only("python3", "echo 3.10 cpython pip")
    done = checkout.set_up()
    assert done.returncode == 0, done.stderr


def test_without_ensurepip_and_without_root_it_names_the_package(checkout: Checkout) -> None:
    checkout.has_only("python3", "echo 3.12 cpython no-pip")
    checkout.has_only("id", "echo 1000")
    done = checkout.set_up()
    assert done.returncode == 3
    assert "apt-get install python3.12-venv" in done.stderr


def test_as_root_it_installs_the_package_that_brings_ensurepip(checkout: Checkout) -> None:
    checkout.has_only("python3", "echo 3.12 cpython no-pip")
    checkout.has_only("id", "echo 0")
    checkout.has_only(
        "apt-get", 'echo "$DEBIAN_FRONTEND $*" >> "${0%/*}/apt.log"; case "$*" in *update) ;; *) exit 100 ;; esac'
    )
    checkout.set_up()
    asked = (checkout.machine / "apt.log").read_text().splitlines()
    assert asked[0].endswith("update")
    assert asked[1].startswith("noninteractive ")
    assert asked[1].endswith("python3.12-venv")


def test_an_install_that_fails_says_where_the_reason_is(checkout: Checkout) -> None:
    checkout.has_only("python3", "echo 3.12 cpython no-pip")
    checkout.has_only("id", "echo 0")
    checkout.has_only("apt-get", 'case "$*" in *update) ;; *) echo no space left; exit 100 ;; esac')
    done = checkout.set_up()
    assert done.returncode == 3
    assert ".ceiling/setup.log" in done.stderr
    assert "no space left" in (checkout.path / ".ceiling" / "setup.log").read_text()


def test_lists_that_another_apt_get_holds_are_asked_for_again(checkout: Checkout) -> None:
    checkout.has_only("python3", "echo 3.12 cpython no-pip")
    checkout.has_only("id", "echo 0")
    checkout.has_only("sleep", ":")
    checkout.has_only("apt-get", 'echo "$*" >> "${0%/*}/apt.log"; [ "$(grep -c update "${0%/*}/apt.log")" -ge 3 ]')
    checkout.set_up()
    asked = (checkout.machine / "apt.log").read_text().splitlines()
    assert [line.split()[-1] for line in asked] == ["update", "update", "update", "python3.12-venv"]


def test_unknown_kind_of_lock_is_refused(checkout: Checkout) -> None:
    assert checkout.set_up("everything").returncode == 2

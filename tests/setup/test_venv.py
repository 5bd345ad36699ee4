"""The environment is made from the lock, once, and again when, and only when, it no longer fits."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.setup.conftest import Checkout, write_wheel

pytestmark = pytest.mark.slow  # each makes a virtual environment


def test_makes_what_the_lock_says_and_says_how_long_it_took(checkout: Checkout) -> None:
    done = checkout.set_up()
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert re.search(r"ready in \d+ s\n$", done.stderr)
    assert checkout.python_has("alpha")
    assert not checkout.python_has("beta")


def test_does_nothing_while_the_lock_is_the_same(checkout: Checkout) -> None:
    checkout.set_up()
    shutil.rmtree(checkout.wheels)  # a second pip would find nothing
    before = _stamp(checkout)
    done = checkout.set_up()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert _stamp(checkout) == before


def test_a_changed_lock_makes_it_again_without_what_is_gone(checkout: Checkout) -> None:
    checkout.set_up()
    checkout.lock("runtime", write_wheel(checkout.wheels, "gamma"))
    assert checkout.set_up().returncode == 0
    assert checkout.python_has("gamma")
    assert not checkout.python_has("alpha")


def test_the_tests_packages_are_added_and_serve_users_too(checkout: Checkout) -> None:
    checkout.set_up()
    made = (checkout.path / ".venv" / "pyvenv.cfg").stat().st_mtime_ns
    assert checkout.set_up("dev").returncode == 0
    assert checkout.python_has("alpha")
    assert checkout.python_has("beta")
    assert (checkout.path / ".venv" / "pyvenv.cfg").stat().st_mtime_ns == made
    assert checkout.set_up().stderr == ""


def test_a_moved_checkout_makes_its_own(checkout: Checkout) -> None:
    checkout.set_up()
    checkout.path = checkout.path.rename(checkout.path.with_name("moved"))
    assert "making .venv" in checkout.set_up().stderr
    assert checkout.python_has("alpha")


def test_a_venv_whose_python_is_gone_is_made_again(checkout: Checkout) -> None:
    checkout.set_up()
    for name in Path(checkout.path / ".venv" / "bin").glob("python*"):
        name.unlink()
    assert checkout.set_up().returncode == 0
    assert checkout.python_has("alpha")


def test_an_interrupted_set_up_counts_as_none(checkout: Checkout) -> None:
    checkout.lock("runtime", "absent==1.0 --hash=sha256:" + "0" * 64 + "\n")
    assert checkout.set_up().returncode == 3
    checkout.lock("runtime", write_wheel(checkout.wheels, "alpha"))
    assert checkout.set_up().returncode == 0
    assert checkout.python_has("alpha")


def test_a_package_with_another_hash_is_refused(checkout: Checkout) -> None:
    checkout.lock("runtime", "alpha==1.0 --hash=sha256:" + "0" * 64 + "\n")
    done = checkout.set_up()
    assert done.returncode == 3
    assert "its hash differs" in done.stderr


def test_without_a_network_it_says_so(checkout: Checkout) -> None:
    checkout.environment = {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "1",
        "PIP_CONFIG_FILE": "/dev/null",
    }
    done = checkout.set_up()
    assert done.returncode == 3
    assert "no package index could be reached" in done.stderr


def test_two_at_once_make_one(checkout: Checkout) -> None:
    argv, environment = ["harness/setup.sh", "runtime"], {"PATH": str(checkout.machine), **checkout.environment}
    both = [
        subprocess.Popen(argv, cwd=checkout.path, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [process.communicate(timeout=100)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("making .venv" in text for text in said) == 1
    assert checkout.python_has("alpha")


def test_the_command_runs_this_checkouts_harness_from_any_folder(checkout: Checkout, tmp_path: Path) -> None:
    checkout.set_up()
    (checkout.path / "harness" / "__main__.py").write_text("print('the right one')")
    (tmp_path / "harness").mkdir()
    (tmp_path / "harness" / "__main__.py").write_text("print('a folder that only has the name')")
    command = [str(checkout.path / ".venv" / "bin" / "harness")]
    environment = {"PATH": str(checkout.machine)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "the right one\n", done.stderr


def _stamp(checkout: Checkout) -> tuple[int, str]:
    stamp = checkout.path / ".venv" / "ceiling-stamp"
    return stamp.stat().st_mtime_ns, stamp.read_text()

"""What deploy and measure rely on: a service runs as the contract says, can be followed, told, and removed."""

import itertools
import json
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DeployError, RuntimeUnavailable
from harness.runtime.base import ServiceSpec
from harness.runtime.process import ProcessRuntime
from harness.runtime.process_service import ProcessService
from tests.process.conftest import Start, is_alive, write_script

DEADLINE_S = 20.0
SLEEP = "import time; print('up', flush=True); time.sleep(60)"


def one(service: ProcessService) -> str:
    return next(service.lines(DEADLINE_S))


def test_it_runs_in_its_folder_of_images_with_its_own_folder_as_the_only_argument(start: Start, images: Path) -> None:
    service = start(
        """
        import json, os, sys
        folder, = sys.argv[1:]
        config = json.load(open(folder + "/config.json"))
        print(json.dumps([os.getcwd(), os.environ["PYTHONPATH"], config, os.listdir(folder + "/out"), os.getpid()]))
        """,
        config={"answer": 42},
    )
    told = json.loads(one(service))
    assert told == [str(images / "service"), str(images), {"answer": 42}, [], service.main_pid]
    assert service.address == "127.0.0.1"


def test_a_model_runs_by_the_entry_of_its_model_yaml(runtime: ProcessRuntime, images: Path) -> None:
    (images / "model").mkdir()
    (images / "model" / "server.py").write_text("import sys; print(sys.argv[1])")
    (images / "model" / "model.yaml").write_text(
        "title: A model\naxes: {connections: c, requests: r}\ncounts: none\nentry: [server.py, first]\n"
    )
    service = runtime.start(ServiceSpec("m", "server", "model", {}, ()))
    assert one(service) == "first"
    service.remove()


def test_variables_that_change_the_interpreter_are_kept_from_it(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    monkeypatch.setenv("KEPT", "1")
    service = start("import os; print(sorted(k for k in os.environ if k == 'KEPT' or k.startswith('PYTHON')))")
    assert one(service) == "['KEPT', 'PYTHONPATH']"


def test_a_command_stands_in_for_the_entry(start: Start) -> None:
    service = start("", command=("-c", "import sys; print(sys.argv[0], len(sys.argv))"))
    assert one(service) == "-c 2"


def test_a_model_without_an_entry_is_for_docker(runtime: ProcessRuntime, images: Path, workplace: Path) -> None:
    (images / "model").mkdir()
    (images / "model" / "model.yaml").write_text("title: A model\naxes: {connections: c, requests: r}\ncounts: none\n")
    with pytest.raises(RuntimeUnavailable, match="RUNTIME=docker"):
        runtime.start(ServiceSpec("m", "server", "model", {}, ()))
    assert not workplace.exists()


def test_a_folder_with_nothing_to_run_is_an_error(runtime: ProcessRuntime, images: Path) -> None:
    (images / "empty").mkdir()
    with pytest.raises(DeployError, match=r"neither a model\.yaml nor a main\.py"):
        runtime.start(ServiceSpec("e", "tool", "empty", {}, ()))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"memory_bytes": 1 << 20}, "no memory limit; use RUNTIME=docker"),
        ({"network": "bridge"}, "no bridge network; use RUNTIME=docker"),
        ({"open_files": 1 << 40}, "the hard limit is .*`ulimit -Hn"),
    ],
)
def test_what_a_plain_process_cannot_honour_is_refused(start: Start, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(RuntimeUnavailable, match=said):
        start(SLEEP, **settings)


class TestLines:
    def test_they_come_while_the_service_runs(self, start: Start) -> None:
        service = start("print('a\\nb', flush=True); import time; time.sleep(60)")
        assert list(itertools.islice(service.lines(DEADLINE_S), 2)) == ["a", "b"]
        assert service.running()

    def test_a_later_call_goes_on_where_the_one_before_stopped(self, start: Start) -> None:
        service = start("print('a\\nb\\nc')")
        assert next(service.lines(DEADLINE_S)) == "a"
        assert list(service.lines(DEADLINE_S)) == ["b", "c"]
        assert list(service.lines(DEADLINE_S)) == []

    def test_a_line_in_parts_comes_whole(self, start: Start) -> None:
        service = start(
            """
            import os, time
            for part in (b"on", b"e\\ntw", b"o"):
                os.write(1, part)
                time.sleep(0.05)
            """
        )
        assert list(service.lines(DEADLINE_S)) == ["one", "two"]

    def test_silence_ends_at_the_deadline_with_the_last_output(self, start: Start) -> None:
        service = start(
            "import sys, time; print('reason', file=sys.stderr, flush=True); print('up', flush=True); time.sleep(60)"
        )
        assert one(service) == "up"
        with pytest.raises(DeployError, match=r"service: no line of output for 0\.2 s(.|\n)*reason"):
            next(service.lines(0.2))

    def test_each_line_has_the_whole_deadline(self, start: Start) -> None:
        service = start(
            """
            import time
            for number in range(5):
                print(number, flush=True)
                time.sleep(0.4)
            """
        )
        assert len(list(service.lines(1.5))) == 5

    def test_they_end_with_the_main_process_though_a_child_holds_the_output(self, start: Start) -> None:
        service = start(
            """
            import os, time
            if os.fork() == 0:
                time.sleep(60)
            print("done")
            """
        )
        assert list(service.lines(DEADLINE_S)) == ["done"]

    def test_a_flood_that_nobody_reads_does_not_hold_the_service_back(self, start: Start) -> None:
        service = start("for _ in range(100_000): print('x' * 100)")
        assert service.wait(DEADLINE_S) == 0
        assert len(service.logs()) == 32 * 1024
        assert sum(1 for _ in service.lines(DEADLINE_S)) == 100_000


class TestPlacement:
    def test_it_runs_on_its_cores_from_its_first_instruction_and_so_do_its_children(self, start: Start) -> None:
        core = max(os.sched_getaffinity(0))
        service = start(
            """
            import os, subprocess, sys
            print(os.sched_getaffinity(0), flush=True)
            subprocess.run([sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"])
            """,
            cores=(core,),
        )
        assert list(service.lines(DEADLINE_S)) == [f"{{{core}}}"] * 2

    def test_a_cpu_that_is_not_there_is_an_error_and_leaves_nothing(self, start: Start, workplace: Path) -> None:
        with pytest.raises(DeployError, match="could not be started"):
            start(SLEEP, cores=(0, 4000))
        assert list(workplace.iterdir()) == []

    def test_open_files_are_raised_as_asked(self, start: Start) -> None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            service = start("import resource; print(*resource.getrlimit(resource.RLIMIT_NOFILE))", open_files=777)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        assert one(service) == f"777 {hard}"

    def test_it_is_out_of_reach_of_the_terminal_and_handles_signals_by_default(self, start: Start) -> None:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            service = start(
                """
                import os, signal
                handled = signal.getsignal(signal.SIGINT) is signal.default_int_handler
                print(os.getsid(0) == os.getpid(), handled, signal.pthread_sigmask(signal.SIG_BLOCK, ()))
                """
            )
        finally:
            signal.signal(signal.SIGINT, before)
        assert one(service) == "True True set()"

    def test_it_outlives_the_thread_that_started_it(self, start: Start) -> None:
        services: list[ProcessService] = []
        thread = threading.Thread(target=lambda: services.append(start(SLEEP)))
        thread.start()
        thread.join()
        assert one(services[0]) == "up"
        time.sleep(0.2)
        assert services[0].running()


class TestFiles:
    def test_a_file_appears_whole(self, start: Start) -> None:
        service = start(
            """
            import os, sys
            path = sys.argv[1] + "/start.json"
            print("up", flush=True)
            while not os.path.exists(path):
                pass
            print(os.path.getsize(path), flush=True)
            """
        )
        one(service)
        service.put("start.json", b"x" * 20_000_000)
        assert one(service) == "20000000"

    def test_what_it_left_in_out_is_fetched(self, start: Start) -> None:
        service = start("import sys; open(sys.argv[1] + '/out/report', 'wb').write(b'\\x00report')")
        service.wait(DEADLINE_S)
        assert service.fetch("report") == b"\x00report"

    def test_a_file_that_is_not_there_is_not_found(self, start: Start) -> None:
        with pytest.raises(FileNotFoundError):
            start(SLEEP).fetch("report")

    @pytest.mark.parametrize("name", ["../owner.json", "a/b", "/etc/passwd", "..", ""])
    def test_names_do_not_lead_elsewhere(self, start: Start, name: str) -> None:
        service = start(SLEEP)
        with pytest.raises(ValueError, match="not a plain file name"):
            service.fetch(name)
        with pytest.raises(ValueError, match="not a plain file name"):
            service.put(name, b"")


class TestEnd:
    @pytest.mark.parametrize(
        ("script", "status"), [("pass", 0), ("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", -9)]
    )
    def test_the_exit_status_is_told(self, start: Start, script: str, status: int) -> None:
        service = start(script)
        assert service.wait(DEADLINE_S) == status
        assert not service.running()

    def test_waiting_has_a_deadline(self, start: Start) -> None:
        with pytest.raises(DeployError, match=r"service: still running after 0\.1 s"):
            start(SLEEP).wait(0.1)

    def test_a_signal_reaches_the_main_process_and_none_is_no_error(self, start: Start) -> None:
        service = start(SLEEP)
        one(service)
        service.signal(signal.SIGTERM)
        assert service.wait(DEADLINE_S) == -signal.SIGTERM
        service.signal(signal.SIGTERM)

    def test_removal_reaches_descendants_wherever_they_have_gone(self, start: Start, workplace: Path) -> None:
        """A child that has left the session, and an orphan whose parent has ended."""
        service = start(
            """
            import os, time
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    print(os.getpid(), flush=True)
                    time.sleep(60)
                os._exit(0)
            os.wait()
            print(os.getpid(), flush=True)
            time.sleep(60)
            """
        )
        pids = [int(line) for line in itertools.islice(service.lines(DEADLINE_S), 2)]
        assert all(map(is_alive, pids))
        service.remove()
        assert not any(map(is_alive, pids))
        assert list(workplace.iterdir()) == []
        service.remove()

    def test_one_that_ignores_all_it_can_is_removed(self, start: Start) -> None:
        service = start("import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)")
        one(service)
        service.signal(signal.SIGSTOP)
        service.remove()
        assert not is_alive(service.main_pid)


def test_services_leave_no_descriptor_open_in_the_harness(start: Start) -> None:
    def cycle() -> None:
        service = start("print(1)")
        assert list(service.lines(DEADLINE_S)) == ["1"]
        service.remove()

    cycle()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        cycle()
    # The fixture keeps three services, each with its output, its watch and its pidfd; nothing else is open.
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= 9


def test_facts_name_the_interpreter_and_the_cpus(runtime: ProcessRuntime) -> None:
    facts = runtime.facts()
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts["affinity"] == sorted(os.sched_getaffinity(0))


def test_write_script_is_what_the_service_runs(start: Start, images: Path) -> None:
    write_script(images / "other", "print('other')")
    assert one(start("", image="other")) == "other"


FAMILY = """
import os, signal, sys, time
signal.signal(signal.SIGUSR1, lambda number, frame: os.write(1, b"mark\\n"))  # a print may be under way
child = os.fork()
if child == 0:
    time.sleep(60)
    sys.exit()
print(child, flush=True)
while True:
    signal.pause()
"""


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def until_state(pid: int, wanted: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while state_of(pid) != wanted:
        assert time.monotonic() < deadline, state_of(pid)
        time.sleep(0.005)


class TestFaults:
    """What may be done to a service on purpose."""

    def test_frozen_it_and_its_children_stand_still_and_thawed_they_go_on(self, start: Start) -> None:
        service = start(FAMILY)
        child = int(one(service))
        service.freeze()
        service.signal(signal.SIGUSR1)
        for pid in (service.main_pid, child):
            until_state(pid, "T")
        service.thaw()
        assert one(service) == "mark"
        until_state(child, "S")

    def test_killed_its_children_die_with_it(self, start: Start) -> None:
        service = start(FAMILY)
        child = int(one(service))
        service.kill()
        service.kill()
        assert service.wait(DEADLINE_S) == -signal.SIGKILL
        assert not is_alive(child)

    def test_started_again_it_has_its_configuration_and_its_output_goes_on(self, start: Start) -> None:
        service = start("import os; print(os.getpid(), flush=True); import time; time.sleep(60)")
        first = service.main_pid
        assert one(service) == str(first)
        service.kill()
        service.start_again()
        assert one(service) == str(service.main_pid) != str(first)
        assert service.logs().split() == [str(first), str(service.main_pid)]

    def test_what_is_running_is_not_started_again(self, start: Start) -> None:
        with pytest.raises(DeployError, match="still running"):
            start(SLEEP).start_again()

"""Debian without a registry: mmdebstrap, from the package mirror that this host itself uses."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.errors import ImageError
from harness.images.build import LAST_LINES, Say
from harness.images.settings import Settings

DEADLINE_S = 900
PACKAGES = ("mmdebstrap", "debian-archive-keyring")


@contextlib.contextmanager
def bootstrap(suite: str, settings: Settings, log: Path, say: Say) -> Iterator[Path]:
    """A minimal Debian as a tar archive, there as long as the context lasts.

    Args:
        suite: release of Debian.
        settings: mirror, certificates and proxies.
        log: file that all output goes to.
        say: told what is being done.

    Raises:
        ImageError: mmdebstrap is missing and may not be installed, or it failed; with the last of its output.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    if shutil.which("mmdebstrap") is None:
        _install(log, say)
    with tempfile.TemporaryDirectory(prefix="ceiling-bootstrap-") as folder:
        archive = Path(folder, f"{suite}.tar")
        say(f"image base: bootstrapping Debian {suite} (mmdebstrap, about 20 s) …")
        _run(_arguments(suite, archive, settings), settings, log)
        yield archive


def _arguments(suite: str, archive: Path, settings: Settings) -> list[str]:
    """Without a mirror mmdebstrap takes Debian's own."""
    certificates = [f'--aptopt=Acquire::https::CaInfo "{settings.ca_bundle}"'] if settings.ca_bundle else []
    mirror = settings.mirror or host_mirror()
    return ["mmdebstrap", "--variant=minbase", *certificates, suite, str(archive), *([mirror] if mirror else [])]


def host_mirror() -> str | None:
    """The mirror of Debian that this host's own apt uses; none where it is no Debian."""
    argv = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    sources = [line.removeprefix("Debian ").strip() for line in done.stdout.splitlines() if line.startswith("Debian ")]
    return next((uri for uri in sources if uri.rstrip("/").endswith("/debian")), None)


def _install(log: Path, say: Say) -> None:
    packages = " ".join(PACKAGES)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ImageError(
            "image base: no registry answers, and mmdebstrap, which makes a Debian without one, is missing; "
            f"run as root: apt-get install {packages}"
        )
    say(f"image base: installing {packages} (apt-get) …")
    apt_get = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300"]
    settings = Settings.from_environment()
    with contextlib.suppress(ImageError):  # one source of many may be out of reach, and the packages there all the same
        _run([*apt_get, "update"], settings, log)
    _run([*apt_get, "install", "--no-install-recommends", *PACKAGES], settings, log)


def _run(argv: Sequence[str], settings: Settings, log: Path) -> None:
    environment = {**os.environ, **settings.build_arguments(), "DEBIAN_FRONTEND": "noninteractive"}
    try:
        with log.open("ab") as output:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                timeout=DEADLINE_S,
                check=False,
            )
    except subprocess.TimeoutExpired:
        raise ImageError(f"image base: `{' '.join(argv)}` took more than {DEADLINE_S} s; see {log}") from None
    if done.returncode != 0:
        last = log.read_text("utf-8", "replace").splitlines()[-LAST_LINES:]
        output_lines = "\n".join(f"    {line}" for line in last)
        raise ImageError(
            f"image base: `{' '.join(argv)}` ended with status {done.returncode}:\n{output_lines}\n"
            f"  all of its output: {log}; CEILING_DEBIAN_MIRROR names another mirror"
        )

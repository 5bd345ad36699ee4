"""Why a host's `docker system dial-stdio` did not reach an engine, in a line that says what to do."""

from harness.errors import RuntimeUnavailable
from harness.runtime.docker.patience import WayLost

NOT_FOUND = 127  # of every shell


def refusal(name: str, status: int, said: str) -> Exception:
    """One line.

    Args:
        name: the host's.
        status: of the command; -1 where it told none.
        said: its standard error.

    Returns:
        WayLost where the engine may come back; RuntimeUnavailable where somebody has to do something.
    """
    text = " ".join(said.split())
    low = text.lower()
    if status == NOT_FOUND:
        return RuntimeUnavailable(
            f"{name}: no Docker there (no `docker` command, and sshd reaches no engine's socket);"
            " install it: `harness hosts prepare`"
        )
    if "permission denied" in low:
        return RuntimeUnavailable(
            f"{name}: no permission on its Docker engine; log in as root there, or join the group `docker`"
            " (`usermod -aG docker USER` as root) and connect anew"
        )
    if "dial-stdio" in low and ("unknown" in low or "not a docker command" in low):
        return RuntimeUnavailable(f"{name}: its `docker` command is too old; install Docker 20.10 or newer")
    if "cannot connect" in low or "docker daemon" in low or "refused" in low or "no such file" in low:
        return WayLost(f"{name}: its Docker engine is not running; start it there: `systemctl start docker`")
    return WayLost(f"{name}: `docker system dial-stdio` ended with status {status}: {text[-300:] or 'it said nothing'}")

"""The errors a person can meet, and the exit code each one becomes.

A `HarnessError` is expected: the command prints it as it stands, without a traceback. Anything else that
escapes is a defect of the harness and keeps its traceback.
"""

from collections.abc import Sequence

EXIT_DONE = 0
EXIT_TRIALS_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_CANNOT_RUN = 3
EXIT_INTERRUPTED = 130


class HarnessError(Exception):
    """What went wrong, where, and what to do about it. `exit_code` is the command's."""

    exit_code = EXIT_CANNOT_RUN


class SpecError(HarnessError):
    """The input is wrong: every problem found, one per line, each `file:line: what; what to do`."""

    exit_code = EXIT_BAD_INPUT

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class ResultError(HarnessError):
    """Stored results cannot be read, resumed or written."""

    exit_code = EXIT_BAD_INPUT


class NothingMeasured(HarnessError):  # noqa: N818 - the name says it
    """No stored run answers what is asked."""


class HostError(HarnessError):
    """A host cannot do what the plan needs."""


class ImageError(HarnessError):
    """An image could not be built or shipped."""


class RuntimeUnavailable(HarnessError):  # noqa: N818 - the name says it
    """The asked-for runtime is not there, or cannot honour what the spec asks."""


class TrialError(HarnessError):
    """One trial failed; the reason goes into its record and the run goes on."""

    exit_code = EXIT_TRIALS_FAILED


class DeployError(TrialError):
    """A service did not come up, or did not prove right."""


class MeasureError(TrialError):
    """The load or the sampling of a trial broke down."""

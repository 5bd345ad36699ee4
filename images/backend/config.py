"""`config.json` of the backend, read and checked (docs/contract/README.md, "The backend")."""

import math
from pathlib import Path
from typing import Final, NamedTuple

from common.config import ConfigError, exactly, integer, number, read_checked

FORMAT: Final = 1
DISTRIBUTIONS: Final = ("constant", "exponential", "bimodal")
_LARGEST_BODY_BYTES: Final = 1 << 30
_LONGEST_S: Final = 3_600.0


class Config(NamedTuple):
    """Everything the backend is told. Delays in seconds."""

    host: str
    port: int
    body_bytes: int
    distribution: str
    delay_s: float
    slow_s: float
    slow_share: float
    seed: int


def read(path: Path) -> Config:
    """Read and check a configuration.

    Raises:
        ConfigError: it is not there, not JSON, or not what the contract says.
    """
    return read_checked(path, _checked)


def _checked(data: object) -> Config:
    fields = exactly(data, Config._fields, FORMAT, "backend")
    if not isinstance(fields["host"], str):
        raise ConfigError(f"host is {fields['host']!r}; it must be a text")
    if fields["distribution"] not in DISTRIBUTIONS:
        raise ConfigError(f"distribution is {fields['distribution']!r}; it must be one of {', '.join(DISTRIBUTIONS)}")
    return Config(
        host=fields["host"],
        port=integer(fields, "port", 1, 65_535),
        body_bytes=integer(fields, "body_bytes", 0, _LARGEST_BODY_BYTES),
        distribution=fields["distribution"],
        delay_s=number(fields, "delay_s", 0, _LONGEST_S),
        slow_s=number(fields, "slow_s", 0, _LONGEST_S),
        slow_share=number(fields, "slow_share", 0, 1),
        seed=integer(fields, "seed", 0, math.inf),
    )

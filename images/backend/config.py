"""`config.json` of the backend, read and checked (docs/contract/README.md, "The backend")."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from common.config import ConfigError

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
    try:
        fields = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give the folder that holds config.json") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from None
    try:
        return _checked(fields)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _checked(fields: object) -> Config:
    keys = {"format", *Config._fields}
    if not isinstance(fields, dict) or fields.keys() != keys:
        raise ConfigError(f"it must be an object with exactly {', '.join(sorted(keys))}")
    if fields["format"] != FORMAT:
        raise ConfigError(f"format {fields['format']!r} is not known here; this backend reads {FORMAT}")
    if not isinstance(fields["host"], str):
        raise ConfigError(f"host is {fields['host']!r}; it must be a text")
    if fields["distribution"] not in DISTRIBUTIONS:
        raise ConfigError(f"distribution is {fields['distribution']!r}; it must be one of {', '.join(DISTRIBUTIONS)}")
    return Config(
        host=fields["host"],
        port=int(_number(fields, "port", int, 1, 65_535)),
        body_bytes=int(_number(fields, "body_bytes", int, 0, _LARGEST_BODY_BYTES)),
        distribution=fields["distribution"],
        delay_s=_number(fields, "delay_s", float, 0, _LONGEST_S),
        slow_s=_number(fields, "slow_s", float, 0, _LONGEST_S),
        slow_share=_number(fields, "slow_share", float, 0, 1),
        seed=int(_number(fields, "seed", int, 0, math.inf)),
    )


def _number(fields: Mapping[str, Any], name: str, kind: type, low: float, high: float) -> float:
    value = fields[name]
    right = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    if not right or not low <= value <= high:
        noun = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{name} is {value!r}; it must be {noun} from {low} to {high}")
    number: float = value
    return number

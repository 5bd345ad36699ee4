"""Numbers with units, parsed once: `50 us`, `128 B`, `1000/s`.

A quantity keeps one integer or float in one base unit and prints itself back in the form it is written in, so
that a stored trial reads like the spec it came from.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_NUMBER_AND_UNIT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z/%]*)")


@dataclass(frozen=True, order=True)
class Quantity:
    """An amount in the base unit of its kind (nanoseconds, bytes, per second)."""

    amount: int

    noun: ClassVar[str]
    example: ClassVar[str]
    units: ClassVar[Mapping[str, int]]  # largest first; how many base units each is

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read `5 s`, `128 B`, ….

        Raises:
            ValueError: not a number with a unit of this kind, or finer than the base unit.
        """
        if isinstance(text, cls):
            return text
        match = _NUMBER_AND_UNIT.fullmatch(text.strip()) if isinstance(text, str) else None
        if match is None or match[2] not in cls.units:
            expected = ", ".join(cls.units)
            raise ValueError(
                f"{text!r} is not {cls.noun}; write a number and a unit ({expected}), such as `{cls.example}`"
            )
        whole, _, fraction = match[1].partition(".")
        scale = 10 ** len(fraction)
        amount, rest = divmod(int(whole + fraction) * cls.units[match[2]], scale)
        if rest or len(whole) > 15:
            raise ValueError(f"{text!r} is finer or larger than {cls.noun} can be; round it, as in `{cls.example}`")
        return cls(amount)

    def __str__(self) -> str:
        for unit, size in self.units.items():
            if self.amount and self.amount % size == 0:
                return f"{self.amount // size} {unit}".replace(" /", "/")
        return f"{self.amount} {list(self.units)[-1]}".replace(" /", "/")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=core_schema.str_schema()),
            json_schema_input_schema=core_schema.str_schema(pattern=cls._pattern()),
        )

    @classmethod
    def _pattern(cls) -> str:
        return r"^[0-9]+(\.[0-9]+)?\s*(" + "|".join(re.escape(unit) for unit in cls.units) + ")$"


class Duration(Quantity):
    """A length of time, kept in nanoseconds."""

    noun = "a duration"
    example = "50 us"
    units = {"h": 3_600_000_000_000, "min": 60_000_000_000, "s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}

    @property
    def ns(self) -> int:
        return self.amount

    @property
    def us(self) -> float:
        return self.amount / 1e3

    @property
    def s(self) -> float:
        return self.amount / 1e9


class Size(Quantity):
    """An amount of memory or data, kept in bytes."""

    noun = "a size"
    example = "128 B"
    units = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "GB": 10**9, "MB": 10**6, "kB": 10**3, "B": 1}

    @property
    def bytes(self) -> int:
        return self.amount


class Rate(Quantity):
    """Events per second, kept in thousandths of an event per second."""

    noun = "a rate"
    example = "1000/s"
    units = {"/s": 1_000}

    @property
    def per_s(self) -> float:
        return self.amount / 1_000

    def __str__(self) -> str:
        return f"{self.per_s:.3f}".rstrip("0").rstrip(".") + "/s"

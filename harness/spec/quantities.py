"""Numbers with units, parsed once: `50 us`, `128 B`, `1000/s`.

A quantity keeps one integer in one base unit and prints itself back in the form it is written in, so that a
stored trial reads like the spec it came from.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_NUMBER_AND_UNIT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([^0-9\s.].*)?")
_LONGEST = 40  # characters; no quantity needs more

# What people write for a unit: lower case, to the unit of any kind that is meant.
_MEANT = {
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "m": "min",
    "mins": "min",
    "minute": "min",
    "minutes": "min",
    "hr": "h",
    "hour": "h",
    "hours": "h",
    "msec": "ms",
    "millis": "ms",
    "milliseconds": "ms",
    "µs": "us",
    "μs": "us",
    "usec": "us",
    "micros": "us",
    "microseconds": "us",
    "nsec": "ns",
    "nanoseconds": "ns",
    "byte": "B",
    "bytes": "B",
    "k": "KiB",
    "kb": "kB",
    "g": "GiB",
    "rps": "/s",
    "qps": "/s",
    "tps": "/s",
    "hz": "/s",
    "/sec": "/s",
    "/second": "/s",
    "per s": "/s",
    "per second": "/s",
    "req/s": "/s",
    "requests/s": "/s",
    "r/s": "/s",
}


@dataclass(frozen=True, order=True)
class Quantity:
    """An amount in the base unit of its kind (nanoseconds, bytes, thousandths per second or of a percent)."""

    amount: int

    noun: ClassVar[str]
    example: ClassVar[str]
    units: ClassVar[Mapping[str, int]]  # largest first; how many base units each is

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read `5 s`, `128 B`, ….

        Raises:
            ValueError: not a number with a unit of this kind, or finer than the base unit; worded `what; what to do`.
        """
        if isinstance(text, cls):
            return text
        match = _NUMBER_AND_UNIT.fullmatch(text.strip()) if isinstance(text, str) and len(text) <= _LONGEST else None
        if match is None or match[2] not in cls.units:
            raise ValueError(cls._refusal(text, match[1] if match else None, match[2] if match else None))
        whole, _, fraction = match[1].partition(".")
        amount, rest = divmod(int(whole + fraction) * cls.units[match[2]], 10 ** len(fraction))
        if rest or len(whole) > 15:
            raise ValueError(f"`{text}` is finer or larger than {cls.noun} can be; round it, as in `{cls.example}`")
        return cls(amount)

    @classmethod
    def _refusal(cls, text: object, number: str | None, unit: str | None) -> str:
        """Say why `text` is not a quantity of this kind, and what to write."""
        units = ", ".join(cls.units)
        if isinstance(text, int | float) and not isinstance(text, bool):
            number, unit = f"{text}"[:_LONGEST], None
        if number is None:
            shown = "nothing" if text is None else f"`{str(text)[:_LONGEST]}`"
            return f"{shown} is not {cls.noun}; write a number and a unit ({units}), such as `{cls.example}`"
        if unit is None:
            return f"`{number}` has no unit; write one after it ({units}), such as `{cls.example}`"
        meant = cls._meant(unit)
        suggestion = f"did you mean `{number}{'' if meant[0] == '/' else ' '}{meant}`?" if meant else f"use {units}"
        return f"`{unit}` is not a unit of {cls.noun}; {suggestion}"

    @classmethod
    def _meant(cls, unit: str) -> str | None:
        folded = unit.strip().lower()
        if _MEANT.get(folded) in cls.units:
            return _MEANT[folded]
        return next((own for own in cls.units if own.lower() in (folded, folded + "ib", folded + "b")), None)

    def __str__(self) -> str:
        for unit, size in self.units.items():
            if self.amount and self.amount % size == 0:
                return f"{self.amount // size} {unit}"
        return f"{self.amount} {list(self.units)[-1]}"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
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
    units: ClassVar[Mapping[str, int]] = {
        "h": 3_600_000_000_000,
        "min": 60_000_000_000,
        "s": 1_000_000_000,
        "ms": 1_000_000,
        "us": 1_000,
        "ns": 1,
    }

    @property
    def ns(self) -> int:
        """In nanoseconds."""
        return self.amount

    @property
    def us(self) -> float:
        """In microseconds."""
        return self.amount / 1e3

    @property
    def s(self) -> float:
        """In seconds."""
        return self.amount / 1e9


class Size(Quantity):
    """An amount of memory or data, kept in bytes."""

    noun = "a size"
    example = "128 B"
    units: ClassVar[Mapping[str, int]] = {
        "GiB": 1 << 30,
        "MiB": 1 << 20,
        "KiB": 1 << 10,
        "GB": 10**9,
        "MB": 10**6,
        "kB": 10**3,
        "B": 1,
    }

    @property
    def bytes(self) -> int:
        """In bytes."""
        return self.amount


class Rate(Quantity):
    """Events per second, kept in thousandths of an event per second."""

    noun = "a rate"
    example = "1000/s"
    units: ClassVar[Mapping[str, int]] = {"/s": 1_000}

    @property
    def per_s(self) -> float:
        """Per second."""
        return self.amount / 1_000

    def __str__(self) -> str:
        whole, thousandths = divmod(self.amount, 1_000)
        return f"{whole}.{thousandths:03}".rstrip("0").rstrip(".") + "/s" if thousandths else f"{whole}/s"


class Share(Quantity):
    """A part of a whole, kept in thousandths of a percent."""

    noun = "a share"
    example = "0.1 %"
    units: ClassVar[Mapping[str, int]] = {"%": 1_000}

    @property
    def fraction(self) -> float:
        """From 0 to 1."""
        return self.amount / 100_000

    def __str__(self) -> str:
        whole, thousandths = divmod(self.amount, 1_000)
        return f"{whole}.{thousandths:03}".rstrip("0").rstrip(".") + " %" if thousandths else f"{whole} %"


@dataclass(frozen=True)
class Between:
    """In an annotation: the quantity lies within these bounds, both included."""

    low: str
    high: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401 (any type can be annotated)
        kind: type[Quantity] = source
        low, high = kind.parse(self.low), kind.parse(self.high)

        def check(value: Quantity) -> Quantity:
            if low.amount <= value.amount <= high.amount:
                return value
            raise ValueError(f"`{value}` is out of range; write a value from {self.low} to {self.high}")

        return core_schema.no_info_after_validator_function(check, handler(source))

"""Numbers with units."""

import pytest

from harness.spec.quantities import Duration, Quantity, Rate, Size

READ = [
    (Duration, "50 us", 50_000, "50 us"),
    (Duration, "50us", 50_000, "50 us"),
    (Duration, "1.5 s", 1_500_000_000, "1500 ms"),
    (Duration, "120 s", 120_000_000_000, "2 min"),
    (Duration, "0 s", 0, "0 ns"),
    (Size, "128 B", 128, "128 B"),
    (Size, "4 KiB", 4096, "4 KiB"),
    (Size, "0.5 MiB", 524_288, "512 KiB"),
    (Size, "2 MB", 2_000_000, "2 MB"),
    (Rate, "1000/s", 1_000_000, "1000/s"),
    (Rate, "0.5 /s", 500, "0.5/s"),
]


@pytest.mark.parametrize(("kind", "text", "amount", "printed"), READ)
def test_a_quantity_is_read_exactly_and_printed_shortly(
    kind: type[Quantity], text: str, amount: int, printed: str
) -> None:
    quantity = kind.parse(text)
    assert quantity.amount == amount
    assert str(quantity) == printed


REFUSED = [
    (Duration, 5, "`5` has no unit; "),
    (Duration, "0.5 ns", "finer or larger"),
    (Duration, "9" * 16 + " s", "finer or larger"),
    (Duration, "9" * 5000 + " s", "is not a duration"),
    (Duration, "-5 s", "is not a duration"),
    (Duration, True, "is not a duration"),
    (Duration, None, "nothing is not a duration"),
    (Duration, "5 µs", "did you mean `5 us`?"),
    (Duration, "5 m", "did you mean `5 min`?"),
    (Size, "1 k", "did you mean `1 KiB`?"),
    (Size, "5 KB", "did you mean `5 kB`?"),
    (Rate, "5 qps", "did you mean `5/s`?"),
    (Rate, "5 apples", "`apples` is not a unit of a rate; use /s"),
]


@pytest.mark.parametrize(("kind", "value", "words"), REFUSED)
def test_what_is_no_quantity_is_refused_with_what_to_write(kind: type[Quantity], value: object, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        kind.parse(value)
    assert words in str(caught.value)
    assert "; " in str(caught.value)
    assert len(str(caught.value)) < 200

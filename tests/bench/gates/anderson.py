"""The Anderson–Darling test of values that should be uniform on (0, 1), nothing estimated from them.

The limiting distribution is Marsaglia and Marsaglia's approximation (Evaluating the Anderson–Darling Distribution, Journal of
Statistical Software 9(2), 2004): right to about six decimals, and to be used from some dozen values on.
"""

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_BELOW_2 = (2.00012, 0.247105, -0.0649821, 0.0347962, -0.0116720, 0.00168691)
_FROM_2 = (1.0776, -2.30695, 0.43424, -0.082433, 0.008056, -0.0003146)


def p_value(uniform: Floats) -> float:
    """How likely values that are uniform come out at least as far from it as these; they need no order."""
    return 1 - limiting(statistic(uniform))


def statistic(uniform: Floats) -> float:
    """A², which weighs the tails more than other tests do."""
    values, count = np.sort(uniform), len(uniform)
    weights = 2 * np.arange(1, count + 1) - 1
    return float(-count - np.mean(weights * (np.log(values) + np.log1p(-values[::-1]))))


def limiting(a_squared: float) -> float:
    """The probability that A² stays below a value, for many uniform values."""
    if a_squared <= 0:
        return 0.0
    if a_squared < 2:
        return math.exp(-1.2337141 / a_squared) / math.sqrt(a_squared) * _polynomial(_BELOW_2, a_squared)
    return math.exp(-math.exp(_polynomial(_FROM_2, a_squared)))


def _polynomial(coefficients: tuple[float, ...], x: float) -> float:
    return sum(coefficient * x**power for power, coefficient in enumerate(coefficients))

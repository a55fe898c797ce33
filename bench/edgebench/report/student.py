"""Student's t and the digamma family, to ten digits: all that the statistics here need of a library for special ones.

SciPy has them, and is three quarters of an install that only compares. `tests/unit/test_student.py` holds these
functions to SciPy's.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_NORMAL = NormalDist()
# Above so many degrees of freedom the expansion about the normal distribution has eleven digits.
_MANY = 4000.0
_TINY = 1e-300
# 1/x to 1/x^13 of the asymptotic series of digamma have fifteen digits from here on.
_FAR = 12
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)


def upper_tail(t: float, df: float) -> float:
    """Return the probability of Student's t above `t`; NaN unless `df` is positive, the normal's for infinite `df`."""
    if not df > 0 or math.isnan(t):
        return math.nan
    if t < 0:
        return 1 - upper_tail(-t, df)
    if math.isinf(t):
        return 0.0
    if math.isinf(df):
        return 0.5 * math.erfc(t / math.sqrt(2))
    if t * t / df == 0:
        return 0.5
    return _by_normal(t, df) if df > _MANY else 0.5 * _incomplete_beta(t, df)


@lru_cache(maxsize=4096)
def quantile(df: float, p: float) -> float:
    """Return the `p` quantile of Student's t, 0 < p < 1; NaN unless `df` is positive.

    Newton's method on logarithms of both t and its tail, which is concave: it comes from above, and never overshoots.
    """
    if not df > 0 or not 0 < p < 1:
        return math.nan
    if p == 0.5:
        return 0.0
    sign, beyond = math.copysign(1.0, p - 0.5), min(p, 1 - p)
    start = -_NORMAL.inv_cdf(beyond)
    if math.isinf(df):
        return sign * start
    # The expansion about the normal (Abramowitz and Stegun, 26.7.5) is close for all but few degrees of freedom.
    square, few = start * start, max(df, 3.0)
    terms = (
        (square + 1) / 4,
        ((5 * square + 16) * square + 3) / 96,
        (((3 * square + 19) * square + 17) * square - 15) / 384,
    )
    log_t = math.log(start * (1 + terms[0] / few + terms[1] / few**2 + max(terms[2], 0.0) / few**3))
    aim = math.log(beyond)
    for _ in range(100):
        t = math.exp(min(log_t, 700.0))
        tail = upper_tail(t, df)
        if tail == 0:
            log_t -= 1.0
            continue
        step = (math.log(tail) - aim) * tail / math.exp(log_t + _log_density(t, df))
        log_t += step
        if abs(step) < 1e-6:  # what is left is its square
            break
    return sign * math.exp(min(log_t, 700.0))


def digamma(x: float) -> float:
    """Return the derivative of the logarithm of gamma at `x` > 0."""
    found = 0.0
    while x < _FAR:
        found -= 1 / x
        x += 1
    return found + math.log(x) - 1 / (2 * x) - sum(b / (2 * k * x ** (2 * k)) for k, b in enumerate(_BERNOULLI, 1))


def trigamma(x: float) -> float:
    """Return the derivative of `digamma` at `x` > 0."""
    found = 0.0
    while x < _FAR:
        found += 1 / x**2
        x += 1
    return found + 1 / x + 1 / (2 * x**2) + sum(b / x ** (2 * k + 1) for k, b in enumerate(_BERNOULLI, 1))


def tetragamma(x: float) -> float:
    """Return the derivative of `trigamma` at `x` > 0."""
    found = 0.0
    while x < _FAR:
        found -= 2 / x**3
        x += 1
    series = sum((2 * k + 1) * b / x ** (2 * k + 2) for k, b in enumerate(_BERNOULLI, 1))
    return found - 1 / x**2 - 1 / x**3 - series


def _by_normal(t: float, df: float) -> float:
    """Hill (1970), Algorithm 395, Communications of the ACM 13:617: the normal deviate of a t."""
    a = df - 0.5
    b, y = 48 * a * a, a * math.log1p(t * t / df)
    series = (((-0.4 * y - 3.3) * y - 24) * y - 85.5) / (0.8 * y * y + 100 + b)
    return 0.5 * math.erfc(((series + y + 3) / b + 1) * math.sqrt(y / 2))


def _log_beta(df: float) -> float:
    """Return the logarithm of the complete beta function of df/2 and 1/2."""
    return math.lgamma(df / 2) + math.lgamma(0.5) - math.lgamma((df + 1) / 2)


def _log_density(t: float, df: float) -> float:
    if df > _MANY:  # the difference of two large logarithms of gamma loses digits that a step does not need
        return -math.log(2 * math.pi) / 2 - (df + 1) / 2 * math.log1p(t * t / df)
    return -_log_beta(df) - math.log(df) / 2 - (df + 1) / 2 * math.log1p(t * t / df)


def _incomplete_beta(t: float, df: float) -> float:
    """Return the regularised incomplete beta function of df/2 and 1/2 at df / (df + t²): both tails of t.

    By its continued fraction (Abramowitz and Stegun, 26.5.8, evaluated as Lentz does), on that side of the mean where
    it converges fast.
    """
    ratio = t * t / df
    a, b, x = df / 2, 0.5, 1 / (1 + ratio)
    front = math.exp(-a * math.log1p(ratio) + b * (math.log(ratio) - math.log1p(ratio)) - _log_beta(df))
    if x < (a + 1) / (a + b + 2):
        return front / a * _fraction(a, b, x)
    return 1 - front / b * _fraction(b, a, ratio / (1 + ratio))


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or _TINY)
    found = d
    for m in range(1, 1000):
        even = a + 2 * m
        term = m * (b - m) * x / ((even - 1) * even)
        d = 1 / (1 + term * d or _TINY)
        c = 1 + term / c or _TINY
        found *= c * d
        term = -(a + m) * (a + b + m) * x / (even * (even + 1))
        d = 1 / (1 + term * d or _TINY)
        c = 1 + term / c or _TINY
        found *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return found

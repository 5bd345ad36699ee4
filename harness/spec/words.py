"""What the command line's words give, checked like a spec: a model's options (`K=V`), the limits of an SLO (`p99<50ms`)."""

import re
from collections.abc import Sequence

from harness.spec.catalogue import option_problem
from harness.spec.experiment import Scalar
from harness.spec.model import Model
from harness.spec.problems import listed
from harness.spec.traffic import Slo

_LIMIT = re.compile(r"\s*(p[0-9]+(?:[._][0-9]+)?|errors)\s*<=?\s*(.+?)\s*")


def options_of(name: str, model: Model, words: Sequence[str], problems: list[str]) -> dict[str, Scalar]:
    """Every option of a model, those that the words name changed.

    Args:
        name: of the model.
        model: what its folder says of itself.
        words: `K=V` each.
        problems: takes what is wrong, a line each.
    """
    values = {option: described.default for option, described in model.options.items()}
    for word in words:
        option, separator, text = word.partition("=")
        if not separator or option not in values:
            problems.append(
                f"--option {word}: {name} has no such option; write K=V with {listed(values) or 'no option at all'}"
            )
            continue
        value = _read(text, model.options[option].type)
        if problem := option_problem(model.options[option], value):
            problems.append(f"--option {word}: {problem[0]}; {problem[1]}")
        values[option] = value
    return values


def _read(text: str, kind: str) -> Scalar:
    if kind == "integer" and text.lstrip("-").isdigit():
        return int(text)
    return {"true": True, "false": False}.get(text, text) if kind == "boolean" else text


def limits_of(words: str | None, problems: list[str]) -> dict[str, object]:
    """The limits of an SLO, as yet unchecked: `p99<50ms,errors<0.1%`.

    Args:
        words: with commas between them; None: no limit.
        problems: takes what is wrong, a line each.
    """
    limits: dict[str, object] = {}
    for word in words.split(",") if words else ():
        found = _LIMIT.fullmatch(word)
        name = found[1].replace(".", "_") if found else ""
        if found is None or name not in Slo.model_fields:
            known = ", ".join(field.replace("_", ".") for field in Slo.model_fields)
            problems.append(f"--slo {word[:60]!r}: not a limit; write NAME<LIMIT, such as `p99<50ms` (names: {known})")
        elif name in limits:
            problems.append(f"--slo {word[:60]!r}: a second limit of the same; keep one of them")
        else:
            limits[name] = found[2]
    return limits

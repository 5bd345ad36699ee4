"""A model's options as the command line's words give them: `K=V`, checked like those of a spec."""

from collections.abc import Sequence

from harness.spec.catalogue import option_problem
from harness.spec.experiment import Scalar
from harness.spec.model import Model
from harness.spec.problems import listed


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

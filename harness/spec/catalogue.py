"""The folders of images/ as models: what each `model.yaml` says, checked."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from harness.spec.document import read_document
from harness.spec.experiment import Scalar
from harness.spec.explain import explain
from harness.spec.model import Model, Option
from harness.spec.node import Node
from harness.spec.problems import Problems, did_you_mean, listed, shown
from harness.spec.quantities import Size

FILE = "model.yaml"


def model_names(images: Path) -> list[str]:
    """Names of the folders of `images` that hold a model, sorted."""
    return sorted(path.parent.name for path in images.glob(f"*/{FILE}"))


def load_models(images: Path) -> dict[str, Model]:
    """Every model of `images`, by folder name.

    Raises:
        SpecError: a `model.yaml` is wrong; all problems of the first such file.
    """
    return {name: load_model(images / name) for name in model_names(images)}


def load_model(folder: Path) -> Model:
    """What the model in this folder says of itself.

    Raises:
        SpecError: there is no such model, or its `model.yaml` is wrong, with every problem.
    """
    path = folder / FILE
    problems = Problems(str(path))
    if not path.is_file():
        fix = did_you_mean(folder.name, model_names(folder.parent), "a model is a folder with a `model.yaml`")
        Problems(str(folder)).fail(None, "there is no such model", fix)
    node = read_document(path, problems, "a model's description")
    try:
        model = Model.model_validate_json(json.dumps(node.plain()))
    except ValidationError as error:
        explain(error.errors(), Model, node, problems)
        problems.raise_if_any()
        raise
    for name, option in model.options.items():
        _check_option(name, option, node, problems)
    _check_files(model, node, folder, problems)
    _check_contract(model, node, problems)
    problems.raise_if_any()
    return model


def option_problem(option: Option, value: object) -> tuple[str, str] | None:
    """What is wrong with this value of an option, and what to do; None when it is right."""
    if option.type == "integer":
        return _integer_problem(option, value)
    if option.type == "size":
        return _size_problem(value)
    if option.type == "boolean":
        return None if isinstance(value, bool) else (f"{shown(value)} is not a boolean", "write `true` or `false`")
    if not isinstance(value, str):
        return f"{shown(value)} is not text", f'quote it to make it text: "{value}"'
    if option.type == "choice" and value not in option.choices:
        choices = listed(option.choices)
        return f"{shown(value)} is not one of {choices}", did_you_mean(value, option.choices, f"write one of {choices}")
    return None


def option_values(model: Model, options: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Checked options as the server is given them: sizes in bytes."""
    return {
        name: Size.parse(value).bytes if model.options[name].type == "size" else value
        for name, value in options.items()
    }


def workers_of(model: Model, options: Mapping[str, Scalar]) -> int | None:
    """How many workers a server has by its options; None where their number is not fixed, or not known."""
    counts = [options.get(name) for name in model.workers]
    known = [count for count in counts if isinstance(count, int)]
    return math.prod(known) if known and len(known) == len(counts) else None


def held_by_one(model: Model, options: Mapping[str, Scalar], connections: int) -> int:
    """How many of these connections one process of the server may have to hold at once, by its options."""
    workers = workers_of(model, options) if model.concurrency == "workers" else None
    if workers is not None:
        return min(connections, workers)  # the others wait in the kernel's queue, without a descriptor
    spread = model.spread
    if spread is None or any(options.get(name) != value for name, value in spread.when.items()):
        return connections
    shares = options.get(spread.over)
    return -(-connections // shares) if isinstance(shares, int) and shares > 0 else connections


def resident_bytes(model: Model, options: Mapping[str, Scalar]) -> int:
    """What a server keeps in memory by its options; those that are wrong do not count."""
    sizes = (options[name] for name, option in model.options.items() if option.resident and name in options)
    return sum(Size.parse(size).bytes for size in sizes if not _size_problem(size))


def _size_problem(value: object) -> tuple[str, str] | None:
    try:
        Size.parse(value)
    except ValueError as error:
        what, _, fix = str(error).partition("; ")
        return what, fix
    return None


def _integer_problem(option: Option, value: object) -> tuple[str, str] | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return f"{shown(value)} is not a whole number", f"write digits only, such as `{option.default}`"
    if option.minimum is not None and value < option.minimum:
        return f"{shown(value)} is too small", f"write at least {option.minimum}"
    if option.maximum is not None and value > option.maximum:
        return f"{shown(value)} is too large", f"write at most {option.maximum}"
    return None


def _check_option(name: str, option: Option, node: Node, problems: Problems) -> None:
    def note(key: str, what: str, fix: str) -> None:
        problems.add(node.reach(("options", name, key))[0].place, f"option `{name}`: {what}", fix)

    if (option.type == "choice") != bool(option.choices):
        note("choices", "`choices` go with `type: choice`, and only with it", "give both or neither")
    elif len(set(option.choices)) < len(option.choices):
        note("choices", "a choice is listed twice", "keep one of them")
    bounds = [bound for bound in (option.minimum, option.maximum) if bound is not None]
    if bounds and option.type != "integer":
        note("type", "`minimum` and `maximum` go with `type: integer`", "remove them, or change the type")
    elif bounds != sorted(bounds):
        note("minimum", "`minimum` is larger than `maximum`", "exchange them")
    elif option.resident and option.type != "size":
        note("resident", "`resident` goes with `type: size`", "remove it, or change the type")
    elif problem := option_problem(option, option.default):
        note("default", f"the default {problem[0]}", problem[1])


def _check_contract(model: Model, node: Node, problems: Problems) -> None:
    """What a program that only answers at its port cannot have."""
    if model.contract == "full":
        return
    asked = (("counts", model.counts == "exact"), ("options", bool(model.options)), ("entry", bool(model.entry)))
    for key in (key for key, is_asked in asked if is_asked):
        what = f"`{key}` goes with `contract: full`: a program that reads no `config.json` cannot honour it"
        fix = "write `counts: none`" if key == "counts" else "remove it"
        problems.add(node.reach((key,))[0].place, what, f"{fix}, or keep the whole contract")


def _check_files(model: Model, node: Node, folder: Path, problems: Problems) -> None:
    folders = [path.name for path in folder.parent.iterdir() if path.is_dir()]
    for index, name in enumerate(model.uses):
        if name not in folders:
            fix = did_you_mean(name, folders, "name folders beside this one")
            problems.add(node.reach(("uses", index))[0].place, f"`uses`: there is no folder {shown(name)}", fix)
    if model.seccomp is not None and not (folder / model.seccomp).is_file():
        line = node.reach(("seccomp",))[0].place
        what = f"`seccomp`: there is no file {shown(model.seccomp)} in this folder"
        problems.add(line, what, "name a file beside this one")
    for index, name in enumerate(model.workers):
        if name not in model.options or model.options[name].type != "integer":
            line = node.reach(("workers", index))[0].place
            problems.add(line, f"`workers`: {shown(name)} is not an integer option", "name options of this model")
    if model.workers and model.concurrency != "workers":
        line = node.reach(("workers",))[0].place
        problems.add(line, "`workers` goes with `concurrency: workers`", "remove it, or change `concurrency`")
    if model.entry and model.entry[0].endswith(".py") and not (folder / model.entry[0]).is_file():
        line = node.reach(("entry", 0))[0].place
        problems.add(
            line, f"`entry`: there is no file {shown(model.entry[0])} in this folder", "name the server's file"
        )

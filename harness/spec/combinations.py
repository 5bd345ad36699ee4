"""Checking every combination as a complete trial, and telling each contradiction once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import SpecError
from harness.spec.catalogue import load_model, model_names, option_problem, resident_bytes, workers_of
from harness.spec.contradiction import Contradiction
from harness.spec.experiment import Scalar, Trial
from harness.spec.factors import Factor
from harness.spec.fault_rules import has_crash
from harness.spec.foreign import Foreign, name_of
from harness.spec.levels import Value
from harness.spec.model import ALL_PARTS, Model
from harness.spec.node import Node
from harness.spec.paths import OPTIONS
from harness.spec.points import Exclusions, Point, model_in, points, settings_of, trial_at
from harness.spec.problems import Problems, did_you_mean, listed, shown
from harness.spec.rules import contradictions, foreign_contradictions, kept_contract_contradictions


class Shelf:
    """The models that a spec names, each read once."""

    def __init__(self, images: Path, problems: Problems) -> None:
        self._images = images
        self._problems = problems
        self._names = model_names(images)
        self._models: dict[str, Model | None] = {}

    def find(self, name: str, line: int) -> Model | None:
        """The model, or None; what is wrong with it is noted, once a line where it is named."""
        if name not in self._names:
            there_are = f"there are {listed(self._names)}" if self._names else f"`{self._images}` holds no model"
            fix = did_you_mean(name, self._names, there_are)
            self._problems.add(line, f"there is no model {shown(name)}", fix)
            return None
        if name not in self._models:
            try:
                self._models[name] = load_model(self._images / name)
            except SpecError as error:
                self._problems.include(error)
                self._models[name] = None
        return self._models[name]

    def known(self, model: str | Foreign) -> Model | None:
        """What its folder says of it; None where there is none, or it could not be read."""
        return self._models.get(model) if isinstance(model, str) else None

    def keeps_contract(self, model: str | Foreign) -> bool:
        """Whether it does what a spec's `handler` says; the benefit of the doubt where it could not be read."""
        if not isinstance(model, str):
            return False
        found = self.known(model)
        return found is None or found.contract == "full"

    def defaults(self, name: str | Foreign) -> dict[str, Scalar]:
        """Its options with their defaults; none where the model could not be read."""
        model = self.known(name)
        return {key: option.default for key, option in model.options.items()} if model else {}

    def option_contradiction(self, name: str | Foreign, path: str, value: Value) -> Contradiction | None:
        """What is wrong with an option for this model; None when it is right or the model could not be read."""
        model, key = self.known(name), path.removeprefix(OPTIONS)
        if not isinstance(name, str):
            what = f"`{name_of(name)}` is no folder of images/ and has no options"
            return Contradiction(("model", path), what, "remove them; an image takes `env` and `command`")
        if model is None:
            return None
        if key not in model.options:
            known = f"its options are {listed(model.options)}" if model.options else "it has no options at all"
            what = f"model `{name}` has no option {shown(key)}"
            return Contradiction(("model", path), what, did_you_mean(key, model.options, known))
        problem = option_problem(model.options[key], value)
        return (
            Contradiction(("model", path), f"`{path}` of model `{name}`: {problem[0]}", problem[1]) if problem else None
        )

    def resident_contradiction(self, trial: Trial) -> Contradiction | None:
        """Whether what the model keeps in memory, by its options, is more than it is given."""
        model, limit = self.known(trial.model), trial.limits.memory
        if model is None or limit is None or resident_bytes(model, trial.options) < limit.bytes:
            return None
        names = [name for name, option in model.options.items() if option.resident]
        return Contradiction(
            (*(f"{OPTIONS}{name}" for name in names), "limits.memory"),
            f"the memory that `{trial.model}` is to keep ({listed(names)}) does not fit into `limits.memory`",
            "raise the limit, or keep less",
        )

    def spare_contradiction(self, trial: Trial) -> Contradiction | None:
        """Whether the request that sets a fault off would have the only worker to itself (harness/faults.py)."""
        model = self.known(trial.model)
        asked = trial.handler.fault != "none" or has_crash(trial)
        if not asked or model is None or workers_of(model, trial.options) != 1:
            return None
        return Contradiction(
            (*(f"{OPTIONS}{name}" for name in model.workers), "faults" if has_crash(trial) else "handler.fault"),
            f"`{name_of(trial.model)}` has one worker here, and the connection that sets off the fault takes it",
            "give it two or more",
        )


@dataclass
class _Case:
    """A contradiction, and where it was met."""

    contradiction: Contradiction
    example: Point
    labels: dict[str, None] = field(default_factory=dict)  # levels of the only factor that takes part
    count: int = 0


class Combinations:
    """Goes through the points of a spec."""

    def __init__(self, base: Trial, factors: Sequence[Factor], exclusions: Exclusions, shelf: Shelf) -> None:
        self._base = base
        self._factors = factors
        self._exclusions = exclusions
        self._shelf = shelf
        self._cases: dict[tuple[str, tuple[int, ...]], _Case] = {}
        self._options: dict[tuple[str, str, str], Contradiction | None] = {}

    def check(self, doubtful: set[str], problems: Problems, base_node: Node) -> None:
        """Note every contradiction once.

        Args:
            doubtful: sections of `base` that could not be read whole; what touches them is not judged.
            problems: takes them.
            base_node: the spec, for the lines of `base`.
        """
        met_any = shared = False
        for point in points({factor.name: factor.levels for factor in self._factors}, self._exclusions):
            met_any = True
            settings = settings_of(point)
            shared = shared or self._shelf.keeps_contract(model_in(settings, self._base))
            for found in self._found(settings):
                if not any(path.split(".")[0] in doubtful and path not in settings for path in found.paths):
                    self._note(found, point)
        if not met_any and all(factor.levels for factor in self._factors):
            line = base_node.reach(("exclude",))[0].place
            problems.add(line, "`exclude` leaves no combination", "exclude less")
        if met_any and not shared:
            self._tell_idle_handlers(problems)
        for (_, taking_part), case in self._cases.items():
            self._tell(case, taking_part, problems, base_node)

    def _tell_idle_handlers(self, problems: Problems) -> None:
        """Every model is a program of its own: what varies our handler changes nothing in any of them."""
        for factor in self._factors:
            paths = dict.fromkeys(path for level in factor.levels for path in level.sets if path.startswith("handler."))
            if paths:
                what = f"varying {listed(paths)} changes nothing, as no model here has the handler of images/common"
                problems.add(factor.line, what, "remove it, or vary `request.path` to ask for other work")

    def _found(self, settings: dict[str, Value]) -> Iterator[Contradiction]:
        model = model_in(settings, self._base)
        for path, value in settings.items():
            if path.startswith(OPTIONS) and (found := self._option(model, path, value)):
                yield found
        trial = trial_at(self._base, settings, self._shelf.defaults)
        if too_large := self._shelf.resident_contradiction(trial):
            yield too_large
        if no_spare := self._shelf.spare_contradiction(trial):
            yield no_spare
        read = self._shelf.known(trial.model)
        if not self._shelf.keeps_contract(trial.model):
            yield from foreign_contradictions(trial)
        else:
            yield from kept_contract_contradictions(trial, ALL_PARTS if read is None else read.does)
        yield from contradictions(trial, settings, is_broker=read is not None and read.protocol == "stomp")

    def _option(self, model: str | Foreign, path: str, value: Value) -> Contradiction | None:
        key = (name_of(model), path, repr(value))
        if key not in self._options:
            self._options[key] = self._shelf.option_contradiction(model, path, value)
        return self._options[key]

    def _note(self, found: Contradiction, point: Point) -> None:
        taking_part = tuple(i for i, level in enumerate(point) if any(path in level.sets for path in found.paths))
        case = self._cases.setdefault((found.what, taking_part), _Case(found, point))
        case.count += 1
        if len(taking_part) == 1:
            case.labels[point[taking_part[0]].label] = None

    def _tell(self, case: _Case, taking_part: tuple[int, ...], problems: Problems, root: Node) -> None:
        what, fix = case.contradiction.what, case.contradiction.fix
        if not taking_part:
            places = [root.reach(("base", *path.split("."))) for path in case.contradiction.paths]
            node = max(places, key=lambda place: len(place[1]))[0]
            problems.add(node.place, what, fix)
            return
        factor = self._factors[taking_part[-1]]
        if len(case.labels) == 1:
            lines = factor.lines[next(iter(case.labels))]
            problems.add(max(lines.get(path, 0) for path in case.contradiction.paths), what, fix)
            return
        levels = " and ".join(f"`{self._factors[i].name}: {case.example[i].label}`" for i in taking_part)
        more = f", {case.count} combinations in all" if case.count > 1 else ""
        advice = f"{fix}{'' if fix.endswith('?') else '.'} Or exclude it."
        problems.add(factor.line, f"{what} (with {levels}{more})", advice)

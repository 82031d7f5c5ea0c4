"""The configuration tree of a recommender: ``usecases/<name>/classic.yaml``."""

from typing import Literal, Self

from pydantic import Field, model_validator

from classic.recommend.settings import Popular, Settings
from classic.recommend.simulate import SimulationConfig
from classic.recommend.warehouse import WarehouseConfig
from lifecycle.config import Frozen
from lifecycle.errors import did_you_mean
from lifecycle.gate import GateConfig, Rule
from lifecycle.resources import Resources

RULES = ("top_rated", "alphabetical", "popular", "by_genre")


class FilmSource(Frozen):
    """``simulated`` needs nothing; ``movielens``: the folder ``path`` in any published layout;
    ``service``: a folder with the files of a streaming service (see docs/data-versions.md)."""

    kind: Literal["simulated", "movielens", "service"] = "simulated"
    path: str = ""
    simulation: SimulationConfig = SimulationConfig()

    @model_validator(mode="after")
    def _path_where_needed(self) -> Self:
        if (self.kind == "simulated") == bool(self.path):
            raise ValueError("path names the folder of kind movielens or service, and only of them")
        return self


class SplitConfig(Frozen):
    """``time``: the latest ``test_share`` of the events is the holdout; ``last``: the last
    ``last`` events of each user, to compare with papers."""

    by: Literal["time", "last"] = "time"
    test_share: float = Field(0.2, gt=0, lt=1)
    last: int = Field(1, ge=1)


class EvaluationConfig(Frozen):
    """``segments``: columns of the users' table (``region``, ``age``) besides ``activity`` and
    ``known``; ages count in tens."""

    segments: list[Literal["region", "age"]] = ["region"]


class Training(Frozen):
    """What a bundle's answers depend on: the chosen model by name, and the rule for the cold."""

    model: str
    contender: Settings
    cold: Settings
    resources: Resources


class Measuring(Frozen):
    """Rules that are measured beside the model, and the columns that users are told apart by."""

    baselines: dict[str, Settings]
    segments: list[str]


class RecommendationConfig(Frozen):
    """``model`` names the one of ``contenders`` that is trained. ``baselines`` are rules among
    them, measured beside it; ``cold`` is the rule that answers a user without a history."""

    title: str = ""
    problem: Literal["recommendation"]
    source: FilmSource = FilmSource()
    data: WarehouseConfig = WarehouseConfig()
    split: SplitConfig = SplitConfig()
    contenders: dict[str, Settings] = {"popular": Popular()}
    model: str = "popular"
    cold: str = "popular"
    baselines: list[str] = ["popular"]
    evaluation: EvaluationConfig = EvaluationConfig()
    gate: GateConfig = GateConfig()
    resources: Resources = Resources()

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        for name in (self.model, self.cold, *self.baselines):
            if name not in self.contenders:
                hint = did_you_mean(name, self.contenders)
                raise ValueError(f"there is no contender {name!r}. {hint}")
        for name in (self.cold, *self.baselines):
            if self.contenders[name].kind not in RULES:
                raise ValueError(f"{name!r} is no rule: cold and baselines take {', '.join(RULES)}")
        return self

    @property
    def training(self) -> Training:
        chosen, cold = self.contenders[self.model], self.contenders[self.cold]
        return Training(model=self.model, contender=chosen, cold=cold, resources=self.resources)

    @property
    def measuring(self) -> Measuring:
        rules = {name: self.contenders[name] for name in self.baselines}
        return Measuring(baselines=rules, segments=list(self.evaluation.segments))

    @property
    def gate_rules(self) -> list[Rule]:
        """The gate's rules for the chosen model: a rule need not beat itself."""
        own = f"{self.model}."
        return [rule for rule in self.gate.rules if not rule.baseline.startswith(own)]

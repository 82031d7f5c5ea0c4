"""The configuration tree of a tabular problem: ``usecases/<name>/classic.yaml``."""

from typing import Annotated, Any, Literal

from pydantic import Field

from classic.tabular.settings import Learning, Problem
from lifecycle.config import Frozen
from lifecycle.gate import GateConfig, Rule
from lifecycle.intake import FilesConfig
from lifecycle.resources import Resources


class FilesSource(FilesConfig):
    """CSV, TSV or Parquet: one file or a folder of them."""

    kind: Literal["files"]


class CodeSource(Frozen):
    """The use case's own ``source.py``, with ``options``."""

    kind: Literal["code"]
    options: dict[str, Any] = {}


SourceConfig = Annotated[FilesSource | CodeSource, Field(discriminator="kind")]


class DataConfig(Frozen):
    """``window``: ``2024-10`` for a month of the schema's time column, ``2024-10:2024-12`` for
    months from and to, empty for all rows."""

    window: str = Field("", pattern=r"^(\d{4}-\d\d(:\d{4}-\d\d)?)?$")
    max_bad_share: float = Field(0.2, ge=0, le=1)


class SplitConfig(Frozen):
    """``time``: the latest ``test_share`` of the rows by the schema's time column is the holdout;
    ``random``: rows drawn at random, the classes in their shares."""

    by: Literal["random", "time"] = "random"
    test_share: float = Field(0.2, gt=0, lt=1)
    seed: int = 0


class EvaluationConfig(Frozen):
    """``statistics``: of ``lifecycle.statistics``, besides the problem's own; ``segments``: columns
    by whose values metrics are told apart; ``explain``: say which columns matter."""

    statistics: list[str] = []
    segments: list[str] = []
    explain: bool = True


class OnnxConfig(Frozen):
    """``export``: put an ONNX model, which scores without any of this project, into the bundle."""

    export: bool = True


class Training(Frozen):
    """What a bundle depends on besides its rows."""

    name: str
    use_case: str
    problem: Problem
    learning: Learning
    export: bool
    resources: Resources


class TabularConfig(Frozen):
    title: str = ""
    problem: Problem
    source: SourceConfig
    data: DataConfig = DataConfig()
    split: SplitConfig = SplitConfig()
    learning: Learning = Learning()
    evaluation: EvaluationConfig = EvaluationConfig()
    onnx: OnnxConfig = OnnxConfig()
    gate: GateConfig = GateConfig()
    resources: Resources = Resources()

    def training(self, name: str, use_case: str) -> Training:
        return Training(
            name=name,
            use_case=use_case,
            problem=self.problem,
            learning=self.learning,
            export=self.onnx.export,
            resources=self.resources,
        )

    @property
    def gate_rules(self) -> list[Rule]:
        return self.gate.rules

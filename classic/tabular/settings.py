from typing import Literal

from lifecycle.config import Frozen

Problem = Literal["binary", "multiclass", "regression"]


class Learning(Frozen):
    pass

"""Which class a block of settings is for."""

from collections.abc import Callable
from typing import Any

from classic.recommend import settings
from classic.recommend.als import Als
from classic.recommend.blend import Blend
from classic.recommend.ease import Ease
from classic.recommend.knn import ItemKnn
from classic.recommend.low_pass import LowPass
from classic.recommend.markov import Markov
from classic.recommend.rules import Alphabetical, ByGenre, Popular, TopRated
from classic.recommend.scorer import Scorer
from classic.recommend.two_stage import TwoStage


def open_scorer(chosen: settings.Settings) -> Scorer:
    """The model that ``chosen`` asks for, not fitted yet."""
    if isinstance(chosen, settings.Blend):
        return Blend(chosen, [open_simple(one) for one in chosen.members])
    if isinstance(chosen, settings.TwoStage):
        return TwoStage(chosen, open_simple)
    return open_simple(chosen)


def open_simple(chosen: settings.Simple) -> Scorer:
    opened: Scorer = _SIMPLE[type(chosen)](chosen)
    return opened


_SIMPLE: dict[type, Callable[[Any], Scorer]] = {
    settings.TopRated: TopRated,
    settings.Alphabetical: Alphabetical,
    settings.Popular: Popular,
    settings.ByGenre: ByGenre,
    settings.Ease: Ease,
    settings.ItemKnn: ItemKnn,
    settings.Als: Als,
    settings.LowPass: LowPass,
    settings.Markov: Markov,
}

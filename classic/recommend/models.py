"""Which class a block of settings is for."""

from classic.recommend import settings
from classic.recommend.als import Als
from classic.recommend.blend import Blend
from classic.recommend.ease import Ease
from classic.recommend.knn import ItemKnn
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
    match chosen:
        case settings.TopRated():
            return TopRated(chosen)
        case settings.Alphabetical():
            return Alphabetical(chosen)
        case settings.Popular():
            return Popular(chosen)
        case settings.ByGenre():
            return ByGenre(chosen)
        case settings.Ease():
            return Ease(chosen)
        case settings.ItemKnn():
            return ItemKnn(chosen)
        case settings.Als():
            return Als(chosen)
        case settings.Markov():
            return Markov(chosen)

"""Settings of every recommender, as a use case's YAML has them; ``kind`` names the model."""

from typing import Annotated, Literal

from pydantic import Field

from lifecycle.config import Frozen

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


class TopRated(Frozen):
    """The items with the highest mean rating, each drawn towards the mean of all by ``damping``."""

    kind: Literal["top_rated"] = "top_rated"
    damping: NonNegative = 25.0


class Alphabetical(Frozen):
    """The items whose mean rating is at least ``least``, in order of their titles."""

    kind: Literal["alphabetical"] = "alphabetical"
    least: float = 4.0


class Popular(Frozen):
    """The items that most users had to do with, in the last ``days`` of the data or ever."""

    kind: Literal["popular"] = "popular"
    days: Positive | None = None


class ByGenre(Frozen):
    """Popular items of the genres in a user's history, by the genres' share of it."""

    kind: Literal["by_genre"] = "by_genre"


class Ease(Frozen):
    """``item_power``: how much more popular items are regularised than rare ones; ``user_power``:
    how much less an event of an active user counts; ``popularity_power``: how much popular items
    are held back in the scores."""

    kind: Literal["ease"] = "ease"
    regularisation: Positive = 500.0
    dropout: Share = 0.0
    item_power: NonNegative = 0.0
    user_power: NonNegative = 0.0
    popularity_power: float = 0.0


class ItemKnn(Frozen):
    """``shrinkage`` draws the similarity of items with few users in common towards zero."""

    kind: Literal["item_knn"] = "item_knn"
    similarity: Literal["cosine", "jaccard", "bm25"] = "cosine"
    neighbours: Count = 100
    shrinkage: NonNegative = 10.0


class Als(Frozen):
    """``alpha``: how much more an event weighs than its absence."""

    kind: Literal["als"] = "als"
    factors: Count = 64
    regularisation: Positive = 0.05
    alpha: Positive = 5.0
    iterations: Count = 15
    seed: int = 0


class LowPass(Frozen):
    """``user_power`` and ``item_power``: how much less an event of an active user, and of a popular
    item, counts while patterns are sought."""

    kind: Literal["low_pass"] = "low_pass"
    factors: Count = 50
    user_power: NonNegative = 0.5
    item_power: NonNegative = 0.5


class Markov(Frozen):
    """``step_decay``: weight of a transition over one event more, up to ``window`` events;
    ``age_decay``: weight of an event one place further back in a history, up to ``last`` events;
    ``from_power`` and ``to_power`` divide transitions by the popularity of their ends."""

    kind: Literal["markov"] = "markov"
    window: Count = 10
    step_decay: Positive = 0.8
    last: Count = 10
    age_decay: Positive = 0.8
    from_power: float = 0.5
    to_power: float = 0.3
    shrinkage: NonNegative = 5.0


Simple = Annotated[
    TopRated | Alphabetical | Popular | ByGenre | Ease | ItemKnn | Als | LowPass | Markov,
    Field(discriminator="kind"),
]


class Blend(Frozen):
    """The weighted sum of the members' scores, each standardised over a user's items."""

    kind: Literal["blend"] = "blend"
    members: tuple[Simple, ...] = Field(min_length=1)
    weights: tuple[float, ...] = Field(min_length=1)


class TwoStage(Frozen):
    """``candidates`` of each member, ordered by trees that were fitted on the last ``steps`` events
    of every user's history, each beside about ``negatives`` other candidates."""

    kind: Literal["two_stage"] = "two_stage"
    members: tuple[Simple, ...] = Field(default=(Markov(), LowPass()), min_length=1)
    candidates: Count = 30
    negatives: Count = 50
    steps: Count = 5
    trees: Count = 100
    leaves: Annotated[int, Field(ge=2, le=32)] = 8
    learning_rate: Positive = 0.05
    seed: int = 0


Settings = Annotated[
    TopRated
    | Alphabetical
    | Popular
    | ByGenre
    | Ease
    | ItemKnn
    | Als
    | LowPass
    | Markov
    | Blend
    | TwoStage,
    Field(discriminator="kind"),
]

"""The folders that the benchmark reads, and the choice of settings on a validation set."""

from pathlib import Path

import pytest

from benchmarks.interaction_files import Collection
from classic.recommend.settings import Blend, Ease, ItemKnn, Markov
from classic.recommend.splits import leave_last_out
from classic.recommend.tune import tune, tune_blend
from lifecycle.errors import SourceError
from tests.recommender_contract import checkerboard

EVENTS = [("7", "30", "4", "100"), ("7", "20", "5", "50"), ("8", "20", "3", "70")]


@pytest.mark.parametrize(
    ("name", "separator", "head"),
    [
        ("u.data", "\t", ""),
        ("ratings.dat", "::", ""),
        ("ratings.csv", ",", "userId,movieId,rating,timestamp\n"),
        ("any.inter", "\t", "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"),
    ],
)
def test_reads_every_layout_of_movielens(
    tmp_path: Path, name: str, separator: str, head: str
) -> None:
    (tmp_path / name).write_text(head + "\n".join(map(separator.join, EVENTS)) + "\n", "utf-8")
    collection = Collection.read(tmp_path)
    assert collection.timed
    assert collection.train.times.tolist() == [50, 70]
    assert collection.train.user_ids == ["7", "8"]
    assert collection.test.item_ids[collection.test.items[0]] == "30"


def test_reads_given_parts_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("0 5 3 4\n1 3\n2\n", "utf-8")
    (tmp_path / "test.txt").write_text("0 9\n1 4 5\n", "utf-8")
    collection = Collection.read(tmp_path)
    assert not collection.timed
    assert [collection.train.item_ids[item] for item in collection.train.items] == list("5343")
    assert [collection.test.item_ids[item] for item in collection.test.items] == list("945")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no MovieLens ratings"):
        Collection.read(tmp_path)


def test_tuning_keeps_what_is_best() -> None:
    train, valid = leave_last_out(checkerboard())
    grid = {"neighbours": (1, 12), "shrinkage": (0.0, 10.0)}
    chosen, best = tune(ItemKnn(neighbours=1), grid, train, valid, "ndcg@10")
    assert isinstance(chosen, ItemKnn)
    assert chosen.neighbours == 12
    assert best >= tune(ItemKnn(neighbours=1), {}, train, valid, "ndcg@10")[1]


def test_a_blend_is_no_worse_than_its_first_member() -> None:
    train, valid = leave_last_out(checkerboard())
    first = Markov(window=1)
    _, alone = tune(first, {}, train, valid, "ndcg@10")
    chosen, best = tune_blend([first, Ease(regularisation=5.0)], train, valid, "ndcg@10")
    assert isinstance(chosen, Blend)
    assert best >= alone - 1e-9
    assert chosen.members[0] == first
    assert chosen.weights[0] == 1

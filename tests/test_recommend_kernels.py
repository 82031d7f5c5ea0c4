"""Compiled loops give what they stand for."""

import numpy as np
import pytest

from classic.recommend.blend import standardised
from classic.recommend.kernels import compiled, product
from classic.recommend.topk import top_k


@pytest.mark.parametrize("rows", [1, 100])
@pytest.mark.parametrize("k", [1, 5, 40, 60])
def test_top_k_is_a_sort(rows: int, k: int) -> None:
    scores = np.random.default_rng(k).integers(0, 9, (rows, 50)).astype(np.float32)
    scores += np.linspace(0.5, 0, 50, dtype=np.float32)  # the order of equals is by number
    items, values = top_k(scores, k)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(items[:, : order.shape[1]], order)
    np.testing.assert_array_equal(
        values[:, : order.shape[1]], np.take_along_axis(scores, order, axis=1)
    )
    assert (items[:, order.shape[1] :] == -1).all()


def test_a_blend_of_many_is_the_sum_of_standardised_scores() -> None:
    scores = np.random.default_rng(0).standard_normal((70, 300)).astype(np.float32) + 3
    scores[5] = 1  # says nothing
    total = np.ones_like(scores)
    compiled().add_standardised(scores.copy(), np.float32(0.4), total)
    np.testing.assert_allclose(total, 1 + standardised(scores, 0.4), atol=1e-5)


@pytest.mark.parametrize("events", [1, 7, 40])
def test_compiled_loops_are_the_products_they_stand_for(events: int) -> None:
    from scipy.sparse import csr_array, random_array

    rng = np.random.default_rng(events)
    rows = np.repeat(np.arange(70), events)
    histories = csr_array(
        (rng.random(len(rows)), (rows, rng.integers(0, 300, len(rows)))), shape=(70, 300)
    ).astype(np.float32)
    sparse = csr_array(random_array((300, 300), density=0.1, rng=rng, dtype=np.float32))
    np.testing.assert_allclose(product(histories, sparse), (histories @ sparse).toarray(), 1e-4)
    weights, out = sparse.toarray(), np.empty((70, 300), dtype=np.float32)
    compiled().sums(histories.indptr, histories.indices, weights, out)
    histories.data[:] = 1
    np.testing.assert_allclose(out, histories @ weights, rtol=1e-4, atol=1e-5)

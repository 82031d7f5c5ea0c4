"""The closure of packages is what pip would have to install."""

from importlib.metadata import version

from lifecycle.closure import closure


def test_what_a_package_requires_is_pinned_as_installed() -> None:
    found = closure(["pandas"])
    assert found["pandas"] == version("pandas")
    assert {"numpy", "python-dateutil", "six"} <= set(found)
    assert "scikit-learn" not in found


def test_extras_count_when_they_are_asked_for() -> None:
    assert set(closure(["zenml[local]"])) > set(closure(["zenml"]))


def test_a_package_that_is_not_installed_is_left_out() -> None:
    assert closure(["no-such-package"]) == {}

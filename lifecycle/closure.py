"""Everything that some installed packages need, pinned as it is installed here."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement


def closure(names: Iterable[str]) -> dict[str, str]:
    """The packages ``names`` and all that they require on this platform, with their versions,
    sorted. ``name[extra]`` counts the extra too; what is not installed is left out."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: dict[str, str] = {}
    done: set[tuple[str, str]] = set()
    waiting = [Requirement(name) for name in names]
    while waiting:
        wanted = waiting.pop()
        try:
            installed = distribution(wanted.name)
        except PackageNotFoundError:
            continue
        found[canonicalize_name(wanted.name)] = installed.version.partition("+")[0]
        for extra in {"", *wanted.extras}:
            if (wanted.name, extra) not in done:
                done.add((wanted.name, extra))
                waiting += _required(installed.requires or (), extra)
    return dict(sorted(found.items()))


def _required(lines: Iterable[str], extra: str) -> "list[Requirement]":
    from packaging.requirements import Requirement

    parsed = [Requirement(line) for line in lines]
    return [one for one in parsed if not one.marker or one.marker.evaluate({"extra": extra})]

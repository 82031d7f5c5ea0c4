"""Lineage both ways: what a version came from, and what came from a data version."""

from lifecycle.errors import RegistryError, did_you_mean
from lifecycle.registry import Version
from lifecycle.tracking import Tracker


def version_facts(tracker: Tracker, version: Version) -> list[tuple[str, str]]:
    """Where a version came from and where its results lie, as labelled lines."""
    tags = version.tags
    dirty = " with uncommitted changes" if tags.get("code_dirty") == "True" else ""
    commit = tags.get("code_commit", "")[:12] or "no commit"
    return [
        ("data version", tags.get("data_version", "")),
        ("code version", f"{commit}{dirty} (fingerprint {tags.get('code_fingerprint', '')})"),
        ("bundle", f"{tags.get('bundle_id', '')} in {tracker.bundle_path(version)}"),
        ("MLflow run", version.run_id),
        ("pipeline run", tags.get("run", "")),
        ("report", tags.get("report", "")),
    ]


def trained_on(versions: list[Version], data_version: str) -> list[Version]:
    """The versions trained on ``data_version``. Raises RegistryError where there is none."""
    found = [v for v in versions if v.tags.get("data_version") == data_version]
    if not found:
        known = {v.tags.get("data_version", "") for v in versions}
        raise RegistryError(
            f"no model was trained on data version {data_version!r}.",
            did_you_mean(data_version, known),
        )
    return found


def by_data_version(versions: list[Version]) -> dict[str, list[Version]]:
    """Versions grouped by what they were trained on, in the order given."""
    groups: dict[str, list[Version]] = {}
    for version in versions:
        groups.setdefault(version.tags.get("data_version", ""), []).append(version)
    return groups

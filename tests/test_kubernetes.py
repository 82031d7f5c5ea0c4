"""Manifests fit the Kubernetes schemas and say what the resources ask for."""

import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from lifecycle.errors import UsageError
from lifecycle.resources import Resources
from services.kubernetes import Deployed, manifests, name_of, quantity, write

PLAIN = Resources()
GPU = Resources(cpus=8, memory="32GiB", gpus=1, gpu_type="NVIDIA-H100-80GB-HBM3")


def deployed(resources: Resources = PLAIN, name: str = "handbook") -> Deployed:
    return Deployed(name, "registry.example/handbook:1", resources)


def pod(resources: Resources) -> dict[str, Any]:
    spec: dict[str, Any] = manifests(deployed(resources))["deployment.yaml"]["spec"]
    found: dict[str, Any] = spec["template"]["spec"]
    return found


@pytest.mark.parametrize("resources", [Resources(), Resources(cpus=2, memory="4GB", gpus=0), GPU])
def test_every_manifest_fits_its_schema(tmp_path: Path, resources: Resources) -> None:
    paths = write(deployed(resources), tmp_path)
    assert [path.stem for path in paths] == [
        "deployment", "service", "autoscaler", "disruption-budget",
    ]  # fmt: skip
    for path in paths:
        manifest = yaml.safe_load(path.read_text())
        version = kubernetes_validate.latest_version()
        kubernetes_validate.validate(manifest, version, strict=True)
        assert manifest["metadata"]["name"] == "handbook"


def test_a_schema_would_notice_a_wrong_word() -> None:
    manifest = manifests(deployed())["deployment.yaml"]
    manifest["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_a_gpu_is_a_limit_and_a_place_to_run() -> None:
    found = pod(GPU)
    container = found["containers"][0]
    assert container["resources"]["limits"] == {"memory": "32Gi", "nvidia.com/gpu": "1"}
    assert container["resources"]["requests"]["cpu"] == "8"
    assert found["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}
    assert "nodeSelector" not in pod(Resources())
    assert "nvidia.com/gpu" not in str(pod(Resources()))


def test_pods_have_no_root_and_write_to_volumes_only() -> None:
    found = pod(Resources())
    assert found["securityContext"]["runAsNonRoot"] is True
    own = found["containers"][0]["securityContext"]
    assert own["readOnlyRootFilesystem"] and not own["allowPrivilegeEscalation"]
    assert {one["mountPath"] for one in found["containers"][0]["volumeMounts"]} == {
        "/state",
        "/tmp",
    }


def test_keys_come_from_a_secret() -> None:
    variables = {one["name"]: one for one in pod(Resources())["containers"][0]["env"]}
    assert variables["MLOPS_API_KEYS"]["valueFrom"]["secretKeyRef"]["name"] == "handbook-keys"


def settings(resources: Resources) -> dict[str, Any]:
    variables = {one["name"]: one for one in pod(resources)["containers"][0]["env"]}
    told: dict[str, Any] = json.loads(variables["MLOPS_SERVICE"]["value"])
    return told


def test_a_pod_takes_its_own_share_of_the_node() -> None:
    assert settings(PLAIN) == {"host": "0.0.0.0", "workers": 1, "threads": 1}
    assert settings(Resources(cpus=8)) == {"host": "0.0.0.0", "workers": 4, "threads": 2}
    two = Resources(cpus=8, gpus=2)
    assert settings(two) == {"host": "0.0.0.0", "workers": 2, "threads": 4}


def test_a_model_is_named_as_kubernetes_does() -> None:
    assert name_of("My_Model") == "my-model"
    with pytest.raises(UsageError, match="'-' cannot name"):
        name_of("_")


def test_sizes_are_written_as_kubernetes_does() -> None:
    assert [quantity(size) for size in ("512MB", "4GiB", "1TB", "8KiB")] == [
        "512M", "4Gi", "1T", "8Ki",
    ]  # fmt: skip


def test_a_name_that_kubernetes_refuses_is_named() -> None:
    with pytest.raises(UsageError, match="'My_Model' cannot name"):
        manifests(deployed(name="My_Model"))

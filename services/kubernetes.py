"""Kubernetes manifests for a Bento's image, from the bundle's resources.

Pods run as BentoML's own user, without root, on a read-only root file system; what is written (the
request log, caches) goes to volumes that end with the pod. Another address than the loopback needs
API keys: they come from a secret.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lifecycle.atomic import write_text
from lifecycle.errors import UsageError
from lifecycle.keys import VARIABLE as KEYS
from lifecycle.resources import Resources
from services.settings import VARIABLE
from services.workers import assign

PORT = 3000
USER = 1034
"""BentoML's user in the images that it builds."""
STATE, TEMPORARY = "/state", "/tmp"
_UNITS = {"KB": "k", "MB": "M", "GB": "G", "TB": "T", "KiB": "Ki", "MiB": "Mi"}
_UNITS |= {"GiB": "Gi", "TiB": "Ti"}
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?")


@dataclass(frozen=True)
class Deployed:
    """What is deployed: ``name`` of everything, its ``image``, and how many pods at least and at
    most. ``cpu_target``: percent of the requested processors from which on pods are added."""

    name: str
    image: str
    resources: Resources
    least: int = 2
    most: int = 10
    cpu_target: int = 70


def write(deployed: Deployed, folder: Path) -> list[Path]:
    """The manifests as files of ``folder``, in the order in which ``kubectl apply`` wants them."""
    paths = []
    for file, manifest in manifests(deployed).items():
        path = folder / file
        write_text(path, yaml.safe_dump(manifest, sort_keys=False))
        paths.append(path)
    return paths


def manifests(deployed: Deployed) -> dict[str, dict[str, Any]]:
    """File name to manifest. Raises UsageError for a name that Kubernetes does not take."""
    checked_name(deployed.name)
    return {
        "deployment.yaml": _deployment(deployed),
        "service.yaml": _service(deployed),
        "autoscaler.yaml": _autoscaler(deployed),
        "disruption-budget.yaml": _budget(deployed),
    }


def name_of(model: str) -> str:
    """How a model is named in a cluster. Raises UsageError where Kubernetes would not take it."""
    return checked_name(model.lower().replace("_", "-"))


def checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a Kubernetes deployment.",
            "It takes lower-case letters, digits and -, at most 52.",
        )
    return name


def quantity(memory: str) -> str:
    """``4GB`` or ``4GiB`` as Kubernetes writes it: ``4G``, ``4Gi``."""
    number = memory.rstrip("KMGTiB")
    return number + _UNITS[memory[len(number) :]]


def _labels(deployed: Deployed) -> dict[str, str]:
    return {"app.kubernetes.io/name": deployed.name}


def _head(deployed: Deployed, version: str, kind: str) -> dict[str, Any]:
    metadata = {"name": deployed.name, "labels": _labels(deployed)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _deployment(deployed: Deployed) -> dict[str, Any]:
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 60,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **_placement(deployed.resources),
        "containers": [_container(deployed)],
        "volumes": [{"name": name, "emptyDir": {}} for name in ("state", "temporary")],
    }
    return _head(deployed, "apps/v1", "Deployment") | {
        "spec": {
            "replicas": deployed.least,
            "selector": {"matchLabels": _labels(deployed)},
            # Never fewer pods than asked for while a new version comes up.
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            },
            "template": {"metadata": {"labels": _labels(deployed)}, "spec": pod},
        }
    }


def _container(deployed: Deployed) -> dict[str, Any]:
    keys = {"secretKeyRef": {"name": f"{deployed.name}-keys", "key": "keys"}}
    return {
        "name": "service",
        "image": deployed.image,
        "args": ["serve", "--host", "0.0.0.0", "--port", str(PORT)],
        "ports": [{"name": "http", "containerPort": PORT}],
        "env": [
            {"name": VARIABLE, "value": json.dumps(_settings(deployed.resources))},
            {"name": "MLOPS_HOME", "value": STATE},
            {"name": "HOME", "value": TEMPORARY},
            # BentoML writes its counters there.
            {"name": "BENTOML_HOME", "value": f"{TEMPORARY}/bentoml"},
            {"name": KEYS, "valueFrom": keys},
        ],
        "resources": _demand(deployed.resources),
        # A bundle may take minutes to load; until then the other two probes wait.
        "startupProbe": _probe("/readyz", period=5, failures=60),
        "readinessProbe": _probe("/readyz", period=5, failures=2),
        "livenessProbe": _probe("/livez", period=10, failures=3),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "state", "mountPath": STATE},
            {"name": "temporary", "mountPath": TEMPORARY},
        ],
    }


def _settings(resources: Resources) -> dict[str, Any]:
    """What a pod cannot find out: which part of its node's cores is meant for it."""
    gpus = 0 if resources.gpus == "auto" else resources.gpus
    plan = assign("", "", tuple(map(str, range(gpus))), 0, _cpus(resources))
    return {"host": "0.0.0.0", "workers": plan.workers, "threads": plan.threads}


def _cpus(resources: Resources) -> int:
    return resources.cpus or 1


def _demand(resources: Resources) -> dict[str, Any]:
    """Memory and GPUs are limits too; processors are not: a limit would only slow pods down."""
    wanted = {"cpu": str(_cpus(resources))}
    limits = {}
    if resources.memory:
        limits["memory"] = quantity(resources.memory)
    if resources.gpus not in ("auto", 0):
        limits["nvidia.com/gpu"] = str(resources.gpus)
    demand: dict[str, Any] = {"requests": wanted | limits}
    return demand | ({"limits": limits} if limits else {})


def _placement(resources: Resources) -> dict[str, Any]:
    """On a node with the GPU that is asked for."""
    if resources.gpus in ("auto", 0):
        return {}
    tolerations = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    chosen: dict[str, Any] = {"tolerations": tolerations}
    if resources.gpu_type:
        chosen["nodeSelector"] = {"nvidia.com/gpu.product": resources.gpu_type}
    return chosen


def _probe(path: str, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }


def _service(deployed: Deployed) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    spec = {"selector": _labels(deployed), "ports": ports}
    return _head(deployed, "v1", "Service") | {"spec": spec}


def _autoscaler(deployed: Deployed) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": deployed.cpu_target}
    scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployed.name}
    return _head(deployed, "autoscaling/v2", "HorizontalPodAutoscaler") | {
        "spec": {
            "scaleTargetRef": scaled,
            "minReplicas": deployed.least,
            "maxReplicas": deployed.most,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        }
    }


def _budget(deployed: Deployed) -> dict[str, Any]:
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": _labels(deployed)}}
    return _head(deployed, "policy/v1", "PodDisruptionBudget") | {"spec": spec}

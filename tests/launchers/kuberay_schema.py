"""JSON schemas of the fields of KubeRay's resources that launchers/kuberay uses.

From ray-operator/apis/ray/v1/{rayjob,raycluster}_types.go and the API reference of KubeRay 1.6.2
(docs.ray.io, "KubeRay CRD API reference"); pod fields from the Kubernetes API, core/v1. Objects are closed,
so a misspelt field is found.
"""

from __future__ import annotations

from typing import Any


def closed(required: str = "", **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


STRING, INTEGER, BOOLEAN = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
STRINGS = {"type": "object", "additionalProperties": STRING}
RESOURCES = closed(limits=STRINGS, requests=STRINGS)
MOUNTS = array(closed("name mountPath", name=STRING, mountPath=STRING, readOnly=BOOLEAN))
CONTAINER = closed(
    "name image",
    name=STRING,
    image=STRING,
    command=array(STRING),
    args=array(STRING),
    env=array(closed("name", name=STRING, value=STRING)),
    resources=RESOURCES,
    volumeMounts=MOUNTS,
)
CLAIM = closed("claimName", claimName=STRING, readOnly=BOOLEAN)
TOLERATION = closed(
    key=STRING,
    operator={"enum": ["Exists", "Equal"]},
    value=STRING,
    effect={"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
)
POD = closed(
    "containers",
    restartPolicy={"enum": ["Always", "OnFailure", "Never"]},
    terminationGracePeriodSeconds=INTEGER,
    tolerations=array(TOLERATION),
    containers=array(CONTAINER),
    volumes=array(closed("name", name=STRING, persistentVolumeClaim=CLAIM)),
)
TEMPLATE = closed("spec", spec=POD)
HEAD = closed(
    "rayStartParams template",
    serviceType={"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
    rayStartParams=STRINGS,
    template=TEMPLATE,
)
WORKERS = closed(
    "groupName minReplicas maxReplicas rayStartParams template",
    groupName=STRING,
    replicas=INTEGER,
    minReplicas=INTEGER,
    maxReplicas=INTEGER,
    rayStartParams=STRINGS,
    template=TEMPLATE,
)
CLUSTER_SPEC = closed(
    "headGroupSpec",
    rayVersion=STRING,
    authOptions=closed(mode={"enum": ["disabled", "token"]}, secretName=STRING),
    enableInTreeAutoscaling=BOOLEAN,
    autoscalerOptions=closed(
        idleTimeoutSeconds=INTEGER, upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]}
    ),
    headGroupSpec=HEAD,
    workerGroupSpecs=array(WORKERS),
)
JOB_SPEC = closed(
    "",
    entrypoint=STRING,
    runtimeEnvYAML=STRING,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
    backoffLimit=INTEGER,
    shutdownAfterJobFinishes=BOOLEAN,
    ttlSecondsAfterFinished=INTEGER,
    rayClusterSpec=CLUSTER_SPEC,
)


def resource(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return closed(
        "apiVersion kind metadata spec",
        apiVersion={"const": "ray.io/v1"},
        kind={"const": kind},
        metadata=closed("name", name={"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}),
        spec=spec,
    )


SCHEMAS = {"RayCluster": resource("RayCluster", CLUSTER_SPEC), "RayJob": resource("RayJob", JOB_SPEC)}

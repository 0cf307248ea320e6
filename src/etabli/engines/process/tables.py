"""What of Kubernetes this engine does, takes without effect, and refuses by name: three tables, each entry with its reason.

A *place* is somewhere in a manifest where an unknown key could change what runs: the pod, the container, a probe… What is in none of
the three tables is refused there too: a chart never runs otherwise than it reads. A refused key that asks for nothing (`false`,
empty, absent) is no reason to refuse.

Source of the keys: the Kubernetes API reference, v1.34.
"""

from collections.abc import Mapping

from etabli.kernel import errors

# Kinds, then keys by place. The value is the reason, or what it becomes here.
HONOURED: Mapping[str, Mapping[str, str]] = {
    "kind": {
        "Deployment": "its replicas are kept; a changed pod replaces the old one, which ends first",
        "StatefulSet": "its pods are kept, in order, under stable names",
        "Job": "its pods run to their end",
        "Service": "an address on the project's network, over ready pods",
        "Secret": "files and variables",
        "ConfigMap": "files and variables",
        "Ingress": "a host and path of the front door",
        "PersistentVolumeClaim": "a folder that lasts until the service is destroyed",
    },
    "workload": {
        "replicas": "how many pods",
        "selector": "it must choose the template's own pods",
        "template": "the pod",
        "serviceName": "the headless Service under which pods have names",
        "podManagementPolicy": "whether a pod waits for those before it",
        "volumeClaimTemplates": "a folder of its own for each pod",
        "completions": "how many pods must end well",
        "parallelism": "how many run at once",
        "backoffLimit": "how often each pod of a Job is tried again",
    },
    "pod": {
        "containers": "sandboxes that share one network",
        "initContainers": "one after the other, before",
        "volumes": "folders",
        "restartPolicy": "",
        "terminationGracePeriodSeconds": "between SIGTERM and SIGKILL",
        "securityContext": "",
        "hostname": "",
        "subdomain": "",
    },
    "container": {
        "name": "",
        "image": "the tree of the environment built for it",
        "command": "",
        "args": "",
        "workingDir": "",
        "env": "",
        "envFrom": "",
        "ports": "named ports are what Services and probes may say",
        "resources": "requests are reserved; limits hold as far as this machine lets them",
        "volumeMounts": "",
        "startupProbe": "",
        "readinessProbe": "",
        "livenessProbe": "",
        "securityContext": "",
    },
    "probe": {
        "httpGet": "",
        "tcpSocket": "",
        "exec": "",
        "initialDelaySeconds": "",
        "periodSeconds": "",
        "timeoutSeconds": "",
        "failureThreshold": "",
        "successThreshold": "",
    },
    "http": {"path": "", "port": "", "httpHeaders": "", "scheme": "certificates are not checked, as in Kubernetes"},
    "tcp": {"port": ""},
    "exec": {"command": ""},
    "resources": {"requests": "", "limits": ""},
    "quantity": {"cpu": "", "memory": ""},
    "volume": {
        "name": "",
        "emptyDir": "",
        "secret": "",
        "configMap": "",
        "projected": "of Secrets and ConfigMaps",
        "persistentVolumeClaim": "a claim of the same release",
    },
    "emptyDir": {"medium": "", "sizeLimit": "enforced in memory; nothing limits the disk"},
    "files": {"name": "", "secretName": "", "items": "", "defaultMode": "", "optional": ""},
    "projected": {"sources": "", "defaultMode": ""},
    "source": {"secret": "", "configMap": ""},
    "item": {"key": "", "path": "", "mode": ""},
    "claim": {"claimName": "", "readOnly": ""},
    "mount": {"name": "", "mountPath": "", "subPath": "", "readOnly": ""},
    "env": {"name": "", "value": "", "valueFrom": ""},
    "value from": {"secretKeyRef": "", "configMapKeyRef": "", "fieldRef": "", "resourceFieldRef": ""},
    "env from": {"prefix": "", "secretRef": "", "configMapRef": ""},
    "port": {"name": "", "containerPort": "", "protocol": "TCP alone"},
    "service": {"selector": "", "ports": "", "clusterIP": "`None` makes it headless", "publishNotReadyAddresses": ""},
    "service port": {"name": "", "port": "", "targetPort": "", "protocol": "TCP alone"},
    "ingress": {"rules": ""},
    "rule": {"host": "one of the hosts that the lab gave this service", "http": ""},
    "ingress path": {"path": "a prefix", "pathType": "", "backend": ""},
    "pvc": {"resources": "nothing holds it to its size"},
}

ACCEPTED: Mapping[str, Mapping[str, str]] = {
    "kind": {
        "ServiceAccount": "no API of a cluster is there to be called",
        "Role": "no API of a cluster is there to be called",
        "RoleBinding": "no API of a cluster is there to be called",
        "NetworkPolicy": "the sandbox lets in nothing but the project and the front door, whatever it says",
        "PodDisruptionBudget": "there is one machine, that nobody drains",
        "HorizontalPodAutoscaler": "there is one machine: replicas stay as the chart sets them",
    },
    "workload": {
        "strategy": "a changed pod replaces the old one, which ends first",
        "updateStrategy": "a changed pod replaces the old one, which ends first",
        "revisionHistoryLimit": "the lab keeps revisions itself",
        "progressDeadlineSeconds": "a pod that does not come up says so at once",
        "minReadySeconds": "a pod that is ready counts at once",
        "persistentVolumeClaimRetentionPolicy": "stopping keeps volumes, destroying removes them",
        "ordinals": "pods count from 0",
        "ttlSecondsAfterFinished": "the lab removes what expired",
        "completionMode": "every pod has an index",
        "manualSelector": "names do not come from selectors",
        "podReplacementPolicy": "a pod is tried again once it ended",
    },
    "pod": {
        "serviceAccountName": "no API of a cluster is there to be called",
        "serviceAccount": "no API of a cluster is there to be called",
        "automountServiceAccountToken": "no token is mounted",
        "nodeSelector": "there is one machine",
        "nodeName": "there is one machine",
        "affinity": "there is one machine",
        "tolerations": "there is one machine",
        "topologySpreadConstraints": "there is one machine",
        "priorityClassName": "services start in the order they were asked for",
        "priority": "services start in the order they were asked for",
        "preemptionPolicy": "nothing running makes room for another",
        "schedulerName": "there is one machine",
        "imagePullSecrets": "no image is pulled",
        "dnsPolicy": "names resolve through the hosts file, then as on this machine",
        "enableServiceLinks": "Services have names; no variable is made of them",
        "setHostnameAsFQDN": "the host name is the pod's",
        "os": "Linux",
    },
    "container": {
        "imagePullPolicy": "no image is pulled",
        "terminationMessagePath": "the log has the last words",
        "terminationMessagePolicy": "the log has the last words",
        "tty": "its output is a file",
        "stdin": "nobody types",
        "stdinOnce": "nobody types",
    },
    "probe": {"terminationGracePeriodSeconds": "the pod's own holds"},
    "quantity": {"ephemeral-storage": "nothing limits the disk", "pods": "one pod is one pod"},
    "pod security": {
        "runAsUser": "a service is always user 1000 of its sandbox",
        "runAsGroup": "a service is always user 1000 of its sandbox",
        "fsGroup": "volumes belong to the service's user from the start",
        "runAsNonRoot": "a service never has the rights of root outside its sandbox",
        "fsGroupChangePolicy": "volumes belong to the project from the start",
        "supplementalGroups": "volumes belong to the project from the start",
        "supplementalGroupsPolicy": "volumes belong to the project from the start",
        "seccompProfile": "the sandbox's own filter holds",
        "seLinuxOptions": "the sandbox's own walls hold",
        "appArmorProfile": "the sandbox's own walls hold",
    },
    "container security": {
        "runAsUser": "a service is always user 1000 of its sandbox",
        "runAsGroup": "a service is always user 1000 of its sandbox",
        "readOnlyRootFilesystem": "the machine's own files are read-only; what is written over an environment goes with the pod",
        "runAsNonRoot": "a service never has the rights of root outside its sandbox",
        "allowPrivilegeEscalation": "never, whatever it says",
        "capabilities": "all are dropped",
        "seccompProfile": "the sandbox's own filter holds",
        "seLinuxOptions": "the sandbox's own walls hold",
        "appArmorProfile": "the sandbox's own walls hold",
    },
    "capabilities": {"drop": "all are dropped"},
    "mount": {"recursiveReadOnly": "read-only is read-only", "mountPropagation": "nothing is mounted afterwards"},
    "service": {
        "type": "NodePort and LoadBalancer are reached in the project; from outside, the front door alone",
        "sessionAffinity": "connections are spread over ready pods",
        "sessionAffinityConfig": "connections are spread over ready pods",
        "internalTrafficPolicy": "there is one machine",
        "externalTrafficPolicy": "there is one machine",
        "ipFamilies": "IPv4",
        "ipFamilyPolicy": "IPv4",
        "clusterIPs": "`clusterIP` says it",
        "allocateLoadBalancerNodePorts": "no port of the machine is opened",
        "trafficDistribution": "there is one machine",
    },
    "service port": {
        "nodePort": "no port of the machine is opened",
        "appProtocol": "what passes is bytes",
    },
    "ingress": {
        "ingressClassName": "the front door is the lab's",
        "tls": "the front door has the lab's certificate",
    },
    "pvc": {
        "accessModes": "all pods are on one machine",
        "storageClassName": "a folder on the lab's disk",
        "volumeMode": "a folder",
    },
}

REFUSED: Mapping[str, Mapping[str, str]] = {
    "kind": {
        "DaemonSet": "there is one machine, and it is not the chart's",
        "CronJob": "schedules are not run here yet",
        "Pod": "a bare pod is kept by nobody; a Deployment, StatefulSet or Job is",
        "ReplicaSet": "a Deployment does the same",
        "Namespace": "a service lives in its project's",
        "ClusterRole": "it speaks of the whole cluster",
        "ClusterRoleBinding": "it speaks of the whole cluster",
        "CustomResourceDefinition": "it adds to a cluster's API",
    },
    "workload": {
        "paused": "a paused Deployment would be kept by nobody",
        "suspend": "a suspended Job would be started by nobody",
        "activeDeadlineSeconds": "no deadline is kept",
        "podFailurePolicy": "no policy on exit codes is kept",
        "backoffLimitPerIndex": "`backoffLimit` counts for each pod",
        "successPolicy": "a Job is done when all its pods are",
    },
    "pod": {
        "hostNetwork": "a service has a network of its own",
        "hostPID": "a service sees its own processes",
        "hostIPC": "a service has memory of its own",
        "hostUsers": "a service has users of its own",
        "shareProcessNamespace": "each container sees its own processes",
        "ephemeralContainers": "no container joins later",
        "readinessGates": "nothing here sets conditions",
        "runtimeClassName": "there is one kind of sandbox",
        "dnsConfig": "names resolve as on this machine",
        "hostAliases": "the hosts file is the lab's",
        "overhead": "there is one kind of sandbox",
        "resourceClaims": "no devices are given out",
        "resources": "containers say what they need",
        "schedulingGates": "nothing here lifts them",
        "activeDeadlineSeconds": "no deadline is kept",
    },
    "container": {
        "lifecycle": "no hook runs after the start or before the end",
        "volumeDevices": "no device is given out",
        "restartPolicy": "an init container that goes on beside the others is not run",
        "resizePolicy": "a change of resources is a new pod",
    },
    "probe": {"grpc": "probes are http, tcp and exec"},
    "http": {"host": "a probe asks its own pod"},
    "tcp": {"host": "a probe asks its own pod"},
    "quantity": {"nvidia.com/gpu": "no GPU is given out"},
    "pod security": {"sysctls": "the kernel's settings are the machine's", "windowsOptions": "this is Linux"},
    "container security": {
        "privileged": "a service has no rights over the machine",
        "procMount": "/proc shows the sandbox's own processes",
        "windowsOptions": "this is Linux",
    },
    "capabilities": {"add": "a service has no rights over the machine"},
    "volume": {
        "hostPath": "a service sees nothing of the machine's files",
        "nfs": "a service mounts nothing",
        "csi": "there are no storage drivers",
        "downwardAPI": "a pod's own fields come as variables",
        "ephemeral": "an emptyDir does the same",
        "image": "a tree of files comes with the environment",
    },
    "source": {
        "serviceAccountToken": "no API of a cluster is there to be called",
        "downwardAPI": "a pod's own fields come as variables",
        "clusterTrustBundle": "the machine's certificates are there",
    },
    "mount": {"subPathExpr": "`subPath` says it without variables"},
    "port": {"hostPort": "no port of the machine is opened", "hostIP": "no port of the machine is opened"},
    "service": {
        "externalName": "a name elsewhere is used as it is",
        "externalIPs": "a Service has one address, in the project",
        "loadBalancerIP": "the front door is the only way in",
        "loadBalancerSourceRanges": "the front door is the only way in",
    },
    "ingress": {"defaultBackend": "each host names what serves it"},
    "pvc": {
        "dataSource": "volumes begin empty",
        "dataSourceRef": "volumes begin empty",
        "selector": "a volume is made for the claim",
        "volumeName": "a volume is made for the claim",
    },
}

UNKNOWN = "nothing here knows it"
HINT = "ask its author for one that runs on a single machine"


def check(place: str, content: Mapping[str, object], path: str) -> None:
    """Refuse the first key of `content`, a place of a manifest seen at `path`, that would change what runs and is not honoured."""
    for key, value in content.items():
        if key in HONOURED.get(place, {}) or key in ACCEPTED.get(place, {}):
            continue
        known = REFUSED.get(place, {}).get(key)
        if known is not None and not value:
            continue
        raise refusal(f"{path}.{key[:60]}" if path else key[:60], known or UNKNOWN)


def check_kind(kind: str, name: str) -> bool:
    """Whether objects of this kind have an effect here; Refused where they cannot be taken at all."""
    if kind in HONOURED["kind"]:
        return True
    if kind in ACCEPTED["kind"]:
        return False
    raise refusal(f"kind: {kind[:60]}", REFUSED["kind"].get(kind, UNKNOWN), name=name)


def refusal(path: str, reason: str, *, name: str = "") -> errors.Refused:
    """What is raised for a chart that asks what this engine does not do."""
    where = f", in `{name[:60]}`" if name else ""
    return errors.Refused(f"this chart needs a cluster: `{path}`{where}", hint=f"{reason}; {HINT}", path=path)

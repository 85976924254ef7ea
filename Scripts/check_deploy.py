#!/usr/bin/env python3
"""Checks the chart and the plain manifests. Scripts/check-deploy.sh calls it with its tools.

Helm renders and installs for real, against a stand-in for an API server (fake_kubernetes.py); no cluster and no network is needed.
Usage: check_deploy.py [--write] [FOLDER], where FOLDER has parallaxd to check the rendered configurations with it, and --write updates what
derives from other files: the schema of the configuration, the chart's copies of the alerts, and deploy/kubernetes.
"""
import base64, functools, json, os, pathlib, re, subprocess, sys, tempfile

import helm_python as helm
import kubernetes_validate
import yaml
from kubernetes_validate import utils as schemas

sys.dont_write_bytecode = True
import fake_kubernetes

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHART = ROOT / "deploy/helm/parallax-control-plane"
MANIFESTS = ROOT / "deploy/kubernetes"
TOOLS = pathlib.Path(sys.executable).parent
RULES = ["parallax-ha.rules.yml", "parallax-operations.rules.yml"]
NAME, REDIS = "parallax-control-plane", "parallax-redis"
# Kinds of others, for which kubernetes-validate has no schema. Any other unknown kind is a fault.
CUSTOM_KINDS = {"HTTPRoute", "PodMonitor", "PrometheusRule", "ScaledObject", "ServiceMonitor"}
# The parts of the specification's Helm values, probes and Ingresses.
SPECIFIED_VALUES = yaml.safe_load("""
controlPlane:
  replicas: 3
  config: {highAvailability: {enabled: true, clusterId: production}}
  affinity:
    podAntiAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        - labelSelector: {matchLabels: {app: parallax-control-plane}}
          topologyKey: kubernetes.io/hostname
  topologySpreadConstraints:
    - {maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule}
redis: {enabled: true, architecture: replication, replica: {replicaCount: 3}, sentinel: {enabled: true}}
""")
SPECIFIED_ANNOTATIONS = {
    "nginx": {
        "nginx.ingress.kubernetes.io/affinity": "cookie",
        "nginx.ingress.kubernetes.io/session-cookie-name": "PARALLAX_AFFINITY",
        "nginx.ingress.kubernetes.io/session-cookie-expires": "172800"},
    "alb": {
        "kubernetes.io/ingress.class": "alb",
        "alb.ingress.kubernetes.io/scheme": "internet-facing",
        "alb.ingress.kubernetes.io/target-type": "ip",
        "alb.ingress.kubernetes.io/healthcheck-path": "/health/ready",
        "alb.ingress.kubernetes.io/stickiness.enabled": "true",
        "alb.ingress.kubernetes.io/stickiness.type": "lb_cookie"}}
# Values that the chart must refuse, and a part of the message.
REFUSED = [
    ({"controlPlane": {"replica": 5}}, "replica"),
    ({"controlPlane": {"config": {"highAvailability": {"clusterID": "x"}}}}, "clusterID"),
    ({"controlPlane": {"config": {"highAvailability": {"leaderElection": {"leaseDuration": 15}}}}}, "leaseDuration"),
    ({"controlPlane": {"config": {"highAvailability": {"leaderElection": {"leaseDuration": "15 seconds"}}}}}, "leaseDuration"),
    ({"controlPlane": {"config": {"server": {"port": 70000}}}}, "port"),
    ({"controlPlane": {"replicas": "3"}}, "replicas"),
    ({"redis": {"architecture": "cluster"}}, "architecture"),
    ({"redis": {"replicas": 3}}, "replicas"),
    ({"redis": {"replica": {"replicaCount": 2}}}, "majority"),
    ({"redis": {"enabled": False}}, "needs a Redis"),
    ({"controlPlane": {"config": {"redis": {"url": "redis://other"}}}}, "names a Redis"),
    ({"controlPlane": {"config": {"highAvailability": {"enabled": False}}}}, "only one node"),
    ({"controlPlane": {"terminationGracePeriodSeconds": 45}}, "must exceed"),
    ({"controlPlane": {"config": {"security": {"mtls": {"enabled": True}}}}}, "no certificate"),
    ({"autoscaling": {"hpa": {"enabled": True}, "keda": {"enabled": True}}}, "not both"),
    ({"gateway": {"enabled": True}}, "needs a Gateway"),
    ({"ingress": {"enabled": True, "kind": "alb", "className": "alb"}}, "either the annotation"),
]

faults = []


def fault(place, text):
    faults.append(f"{place}: {text}")


# The schema of the configuration is the daemon's own.


def keys_of(schema, prefix=()):
    """The paths of all keys of a schema of the configuration."""
    for name, part in schema["properties"].items():
        if "properties" in part:
            yield from keys_of(part, (*prefix, name))
        else:
            yield (*prefix, name)


def check_schema(write, daemon):
    file = CHART / "values.schema.json"
    schema = json.loads(file.read_text(encoding="utf-8"))
    values_schema = schema["properties"]["controlPlane"]["properties"]
    if daemon:
        config = json.loads(subprocess.run([daemon, "--print-config-schema"], check=True, capture_output=True, text=True).stdout)
        del config["$schema"]
        definitions = config.pop("$defs")
        if (values_schema["config"], schema["$defs"]) != (config, definitions):
            if write:
                values_schema["config"], schema["$defs"] = config, definitions
                file.write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
            else:
                fault("values.schema.json", "controlPlane.config is not the daemon's schema; run Scripts/check-deploy.sh --write")
    count = len(list(keys_of(values_schema["config"])))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))

    def compare(place, schema, value):
        for name, part in (value or {}).items() if isinstance(value, dict) else ():
            known = schema.get("properties", {}).get(name)
            if known is None and schema.get("additionalProperties") is False:
                fault("values.schema.json", f"values.yaml has {place}{name}, the schema does not")
            elif known:
                compare(f"{place}{name}.", known, part)
        if isinstance(value, dict) and place != "controlPlane.config." and not place.startswith("controlPlane.config."):
            for name in schema.get("properties", {}):
                if name not in value and name not in ("global", "claims") and place not in ("controlPlane.resources.", "redis.resources."):
                    fault("values.schema.json", f"the schema has {place}{name}, values.yaml does not")

    compare("", schema, values)
    subset("values.yaml", SPECIFIED_VALUES, values)
    return count


def subset(place, wanted, found):
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name, value in wanted.items():
            subset(f"{place}.{name}", value, found.get(name))
    elif wanted != found:
        fault(place, f"the specification has {wanted!r}, here is {found!r}")


def check_rules(write):
    for name in RULES:
        source, copy = ROOT / "deploy/prometheus" / name, CHART / "files" / name
        if not copy.exists() or copy.read_bytes() != source.read_bytes():
            if write:
                copy.write_bytes(source.read_bytes())
            else:
                fault(f"files/{name}", f"differs from deploy/prometheus/{name}; run Scripts/check-deploy.sh --write")


# Rendering.

@functools.cache
def chart():
    return helm.Chart.load(CHART)


def value_sets():
    sets = {"default": {}}
    for file in sorted((CHART / "examples").glob("*.yaml")):
        sets[file.stem] = helm.values_from_yaml(file.read_text(encoding="utf-8"))
    return sets


def render(values, namespace="agents"):
    """The objects and the text of a rendering; helm's own check of the schema comes first, as at an installation."""
    chart().validate_schema(chart().merge_values(values))
    files = chart().render(values, name="prod", namespace=namespace)
    text = "\n---\n".join(text.strip() for name, text in sorted(files.items()) if name.endswith(".yaml") and text.strip())
    return [document for document in yaml.safe_load_all(text) if document], text + "\n"


schemas.schema_contents = functools.cache(schemas.schema_contents)


@functools.cache
def newest_versions():
    return list(dict.fromkeys(schemas.all_versions()))[-3:]


def validate(place, document):
    for version in newest_versions():
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except schemas.SchemaNotFoundError:
            if document["kind"] not in CUSTOM_KINDS:
                fault(place, f"Kubernetes {version} has no kind {document['kind']} in {document['apiVersion']}")
        except schemas.ValidationError as error:
            fault(place, f"Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}")


def pods(document):
    """The pod of a workload: its labels and its specification."""
    if document["kind"] == "Pod":
        return document["metadata"].get("labels", {}), document["spec"]
    template = document.get("spec", {}).get("template")
    if template and "spec" in template:
        return template["metadata"].get("labels", {}), template["spec"]
    return None


def matches(selector, labels):
    return (selector.get("matchLabels") or selector if "matchLabels" in selector else selector).items() <= labels.items()


def check_pod(place, kind, pod):
    def need(condition, text):
        if not condition:
            fault(place, text)

    security = pod.get("securityContext", {})
    need(security.get("runAsNonRoot") is True and security.get("runAsUser", 0) > 0, "the pod must not run as root")
    need(security.get("seccompProfile", {}).get("type") == "RuntimeDefault", "the pod needs the seccomp profile RuntimeDefault")
    need(pod.get("automountServiceAccountToken") is False, "the pod needs no token of a service account")
    for forbidden in ("hostNetwork", "hostPID", "hostIPC"):
        need(not pod.get(forbidden), f"{forbidden} must not be set")
    for volume in pod.get("volumes", []):
        need("hostPath" not in volume, f"the volume {volume['name']} is a path of the machine")
        need(any(volume["name"] == mount["name"] for c in pod["containers"] for mount in c.get("volumeMounts", [])),
             f"no container mounts the volume {volume['name']}")
    for container in pod["containers"]:
        security = container.get("securityContext", {})
        name = container["name"]
        need(security.get("allowPrivilegeEscalation") is False, f"{name}: allowPrivilegeEscalation must be false")
        need(security.get("readOnlyRootFilesystem") is True, f"{name}: the root file system must be read-only")
        need(security.get("runAsNonRoot") is True, f"{name}: runAsNonRoot must be true")
        need(security.get("capabilities") == {"drop": ["ALL"]}, f"{name}: all capabilities must be dropped")
        need(security.get("seccompProfile", {}).get("type") == "RuntimeDefault", f"{name}: needs the seccomp profile RuntimeDefault")
        resources = container.get("resources", {})
        need({"cpu", "memory"} <= set(resources.get("requests", {})), f"{name}: needs requests of processor and memory")
        need("memory" in resources.get("limits", {}), f"{name}: needs a limit of memory")
        need(re.search(r"(:(?!latest$)[^:/]+|@sha256:[0-9a-f]{64})$", container["image"]), f"{name}: the image {container['image']} needs a tag")
        if kind != "Pod":
            need("livenessProbe" in container and "readinessProbe" in container, f"{name}: needs a liveness and a readiness probe")
        for variable in container.get("env", []):
            if re.search(r"(PASSWORD|SECRET|KEY)$", variable["name"]):
                need("valueFrom" in variable, f"{name}: the value of {variable['name']} would be readable in the manifest")


def references(pod):
    """The names of the ConfigMaps and Secrets that a pod needs."""
    for volume in pod.get("volumes", []):
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"]
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]
    for container in pod["containers"]:
        for variable in container.get("env", []):
            if "secretKeyRef" in variable.get("valueFrom", {}):
                yield "Secret", variable["valueFrom"]["secretKeyRef"]["name"]


def external_secrets(values):
    found = set()

    def search(value):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
            if name in ("existingSecret", "secretName", "tlsSecret"):
                found.add(part)
            search(part)

    search(values)
    return found


def check_objects(place, documents, values):
    names = {(document["kind"], document["metadata"]["name"]) for document in documents}
    if len(names) != len(documents):
        fault(place, "two objects have the same kind and name")
    workloads = [(document, *found) for document in documents if (found := pods(document))]
    external = external_secrets(values)

    def selected(where, selector):
        found = [entry for entry in workloads if matches(selector, entry[1])]
        if not found:
            fault(place, f"{where} selects no pod: {selector}")
        return found

    for document in documents:
        kind, name, spec = document["kind"], document["metadata"]["name"], document.get("spec", {})
        where = f"{kind}/{name}"
        validate(f"{place}: {where}", document)
        if found := pods(document):
            check_pod(f"{place}: {where}", kind, found[1])
            for needed in references(found[1]):
                if needed not in names and needed[1] not in external:
                    fault(place, f"{where} needs {needed[0]}/{needed[1]}, which nothing makes")
            account = found[1].get("serviceAccountName")
            if account and ("ServiceAccount", account) not in names:
                fault(place, f"{where} needs ServiceAccount/{account}, which nothing makes")
        if kind == "StatefulSet":
            if ("Service", spec["serviceName"]) not in names:
                fault(place, f"{where} needs Service/{spec['serviceName']}, which nothing makes")
            if not matches(spec["selector"], spec["template"]["metadata"]["labels"]):
                fault(place, f"{where} does not select its own pods")
        if kind == "Service":
            for _, _, pod in selected(where, spec["selector"]):
                ports = {port["containerPort"] for container in pod["containers"] for port in container.get("ports", [])}
                for port in spec["ports"]:
                    if port.get("targetPort", port["port"]) not in ports:
                        fault(place, f"{where}: no container has the port {port.get('targetPort', port['port'])}")
        if kind == "PodDisruptionBudget":
            selected(where, spec["selector"])
        if kind == "NetworkPolicy":
            selected(where, spec["podSelector"])
        if "scaleTargetRef" in spec and (spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"]) not in names:
            fault(place, f"{where} scales {spec['scaleTargetRef']['name']}, which does not exist")
        if kind == "Ingress":
            for rule in spec["rules"]:
                for path in rule["http"]["paths"]:
                    if ("Service", path["backend"]["service"]["name"]) not in names:
                        fault(place, f"{where} leads to no Service")
            wanted = SPECIFIED_ANNOTATIONS.get(values["ingress"].get("kind", "nginx"), {})
            if name != "parallax" or not wanted.items() <= document["metadata"]["annotations"].items():
                fault(place, f"{where} lacks the name or an annotation of the specification")
        if kind == "HTTPRoute":
            for rule in spec["rules"]:
                for backend in rule["backendRefs"]:
                    if ("Service", backend["name"]) not in names:
                        fault(place, f"{where} leads to no Service")
        if kind == "ServiceMonitor":
            found = [d for d in documents if d["kind"] == "Service" and matches(spec["selector"], d["metadata"]["labels"])]
            if len(found) != 1 or spec["endpoints"][0]["port"] not in {port["name"] for port in found[0]["spec"]["ports"]}:
                fault(place, f"{where} must select one Service with its port, and selects {len(found)}")
            elif found[0]["metadata"]["labels"].get(spec["jobLabel"]) != "parallax":
                fault(place, f"{where}: the alerts expect the job parallax")
        if kind == "PrometheusRule":
            base = (ROOT / "deploy/documentation-url").read_text(encoding="utf-8").strip()
            guide = values.get("monitoring", {}).get("prometheusRule", {}).get("documentationUrl", base)
            texts = [(ROOT / "deploy/prometheus" / name).read_text(encoding="utf-8") for name in RULES]
            wanted = [group for text in texts for group in yaml.safe_load(text.replace(f"{base}/docs/", f"{guide}/docs/"))["groups"]]
            if spec["groups"] != wanted:
                fault(place, f"{where} differs from deploy/prometheus")
    check_contract(place, documents)


def seconds(duration):
    units = {"d": 86_400, "h": 3_600, "m": 60, "s": 1, "ms": 0.001}
    return sum(int(count) * units[unit] for count, unit in re.findall(r"(\d+)(ms|d|h|m|s)", duration))


def check_contract(place, documents):
    """What the specification and other tools rely on."""
    by_name = {(document["kind"], document["metadata"]["name"]): document for document in documents}
    nodes = by_name.get(("StatefulSet", NAME))
    service = by_name.get(("Service", NAME))
    if not nodes or not service:
        return fault(place, f"there must be a StatefulSet and a Service {NAME}")
    spec = nodes["spec"]
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    config = yaml.safe_load(by_name["ConfigMap", NAME]["data"]["parallax.config.yaml"])
    port = config["server"].get("port", 8080)
    subset(f"{place}: StatefulSet", {"podManagementPolicy": "Parallel", "selector": {"matchLabels": {"app": NAME}}}, spec)
    subset(f"{place}: Service", {"type": "ClusterIP", "selector": {"app": NAME}}, service["spec"])
    subset(f"{place}: Service", {"port": 8080, "targetPort": port}, service["spec"]["ports"][0])
    subset(f"{place}: livenessProbe", {
        "httpGet": {"path": "/health/live", "port": port}, "initialDelaySeconds": 10, "periodSeconds": 10, "failureThreshold": 3},
        container["livenessProbe"])
    subset(f"{place}: readinessProbe", {
        "httpGet": {"path": "/health/ready", "port": port}, "initialDelaySeconds": 5, "periodSeconds": 5, "failureThreshold": 3},
        container["readinessProbe"])
    drain = seconds(config["server"]["drainDelay"]) + seconds(config["server"]["drainTimeout"])
    if pod["terminationGracePeriodSeconds"] <= drain:
        fault(place, f"terminationGracePeriodSeconds must exceed {drain} s")
    # Endpoints notice a failing readiness after three probes; a node that serves for less time drops requests.
    probe = container["readinessProbe"]
    if seconds(config["server"]["drainDelay"]) < probe["periodSeconds"] * probe["failureThreshold"]:
        fault(place, "server.drainDelay is shorter than three readiness probes")
    if config["server"]["host"] != "0.0.0.0":
        fault(place, "the nodes must listen on all addresses")


def lint_yaml(place, text):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        run(place, [TOOLS / "yamllint", "--strict", "-c", ROOT / "deploy/.yamllint", file.name])


def run(place, command, **options):
    """Runs a tool; output on its standard error is a fault too, since some tools warn and succeed."""
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if result.returncode or result.stderr.strip():
        fault(place, f"{pathlib.Path(str(command[0])).name}: {(result.stdout + result.stderr).strip()[:2000]}")
    return result.stdout


# The daemon itself.

def check_daemon(place, documents, daemon, folder):
    """Runs parallaxd --check-config on the configuration, with the files and the environment that the pod would have."""
    by_name = {(document["kind"], document["metadata"]["name"]): document for document in documents}
    pod = by_name["StatefulSet", NAME]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    root = folder / place
    for mount in container["volumeMounts"]:
        volume, target = volumes[mount["name"]], root / mount["mountPath"].lstrip("/")
        if "configMap" in volume:
            data = by_name["ConfigMap", volume["configMap"]["name"]]["data"]
        else:
            # Secrets that users bring have the contents that the examples say.
            made = by_name.get(("Secret", volume["secret"]["secretName"]), {}).get("stringData", {})
            certificate, key = (folder / "tls.crt").read_text(), (folder / "tls.key").read_text()
            data = {"tls.crt": certificate, "tls.key": key, "ca.crt": certificate, "password": "secret"} | made
            items = volume["secret"].get("items")
            if items and not {item["key"] for item in items} <= set(data):
                fault(place, f"the Secret {volume['secret']['secretName']} lacks one of {items}")
        if "subPath" in mount:
            data, target = {mount["subPath"]: data[mount["subPath"]]}, target.parent
        target.mkdir(parents=True, exist_ok=True)
        for name, text in data.items():
            (target / name).write_text(re.sub(r"/(run/secrets|etc/parallax)/", rf"{root}/\1/", text), encoding="utf-8")
    environment = {"HOME": str(folder)}
    for variable in container["env"]:
        value = variable.get("value", f"{NAME}-0")
        environment[variable["name"]] = value.replace("file:/run", f"file:{root}/run")
    command = [daemon, container["args"][0], str(root) + container["args"][1]]
    if container["command"] != ["parallax-witness", "--", "parallaxd"]:
        fault(place, f"the container runs {container['command']}")
    sound = run(f"{place}: ConfigMap", [*command, "--check-config"], env=environment, cwd=folder)
    if "the configuration is sound" not in sound:
        fault(place, f"parallaxd --check-config: {sound}")
    printed = yaml.safe_load(run(f"{place}: ConfigMap", [*command, "--print-config"], env=environment, cwd=folder) or "{}") or {}
    if printed and printed["node"]["id"] != f"{NAME}-0":
        fault(place, "the node's id is not the name of its pod")
    keys = printed.get("security", {}).get("authentication", {}).get("apiKeys", [])
    if printed and len(keys) < 1:
        fault(place, "the nodes have no API keys")


# Installation and upgrades.

def secret_data(cluster, name):
    found = cluster.find("secrets", name)
    return {key: base64.b64decode(value).decode() for key, value in found["data"].items()} if found else {}


def check_upgrades(sets):
    """Installs each set of values and upgrades it to the next one: nothing immutable changes, and the keys stay."""
    cluster = fake_kubernetes.FakeKubernetes()
    with helm.Config(
            kubeconfig_content=cluster.kubeconfig("agents"), namespace="agents", storage_driver="memory", qps=10_000, burst_limit=10_000) as config:
        config.install(chart(), "prod", {})
        keys, password = secret_data(cluster, "parallax-control-plane-keys"), secret_data(cluster, "parallax-redis-password")
        if set(keys) != {"admin", "agents", "metrics", "keys"} or len({*keys.values()}) != 4 or not password.get("password"):
            fault("install", f"the Secrets have {sorted(keys)} and {sorted(password)}")
        for name, values in sets.items():
            # Sets with a Redis of another shape would delete and make its StatefulSet; the rest are upgrades in place.
            try:
                config.upgrade(chart(), "prod", values)
            except helm.HelmError as error:
                fault(f"upgrade to {name}", str(error))
            for secret, before in {"parallax-control-plane-keys": keys, "parallax-redis-password": password}.items():
                if secret_data(cluster, secret) != before:
                    fault(f"upgrade to {name}", f"the Secret {secret} has changed")
        config.upgrade(chart(), "prod", {"controlPlane": {"replicas": None}})
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(cluster.kubeconfig("agents"))
            file.flush()
            scale = ["scale", "statefulset", NAME, "--replicas=5"]
            run("kubectl scale", [TOOLS / "kubectl", "--kubeconfig", file.name, *scale])
        config.upgrade(chart(), "prod", {"controlPlane": {"replicas": None, "podAnnotations": {"changed": "true"}}})
        if cluster.find("statefulsets", NAME)["spec"]["replicas"] != 5:
            fault("kubectl scale", "the number of nodes did not survive an upgrade with controlPlane.replicas: null")
        config.uninstall("prod")
        if secret_data(cluster, "parallax-control-plane-keys") != keys or cluster.find("statefulsets", NAME):
            fault("uninstall", "must remove the nodes, and keep the keys")
        config.install(chart(), "prod", {})
        if secret_data(cluster, "parallax-control-plane-keys") != keys:
            fault("install again", "the keys have changed")
    if cluster.unknown:
        fault("fake_kubernetes.py", f"does not know {cluster.unknown}")
    cluster.stop()
    return 3 + len(sets)


# Plain manifests.

def plain_manifests():
    """The chart's objects for kubectl alone: without Helm's own labels and annotations, and with Secrets that the user makes."""
    values = {
        "controlPlane": {"apiKeys": {"existingSecret": "parallax-control-plane-keys"}},
        "redis": {"auth": {"existingSecret": "parallax-redis-password"}}, "tests": {"enabled": False}}
    chart().validate_schema(chart().merge_values(values))
    files = {}
    for name, text in chart().render(values, name="parallax", namespace="parallax").items():
        if not name.endswith(".yaml") or not text.strip():
            continue
        text = re.sub(r"^ +(app\.kubernetes\.io/managed-by|helm\.sh/chart): .*\n", "", text.strip() + "\n", flags=re.M)
        files[pathlib.PurePosixPath(name).name] = (
            "# Rendered from deploy/helm/parallax-control-plane by Scripts/check-deploy.sh --write: change the chart instead.\n" + text)
    return files


def check_manifests(write):
    files = plain_manifests()
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "namespace": "parallax", "resources": sorted(files)}
    files["kustomization.yaml"] = (
        "# kubectl apply --kustomize deploy/kubernetes, after make-secrets.sh: docs/operations/kubernetes.md.\n"
        + yaml.safe_dump(kustomization, sort_keys=False))
    present = {file.name: file.read_text(encoding="utf-8") for file in MANIFESTS.glob("*.yaml")}
    if write:
        for name in present.keys() - files.keys():
            (MANIFESTS / name).unlink()
        for name, text in files.items():
            (MANIFESTS / name).write_text(text, encoding="utf-8")
    elif present != files:
        names = sorted(name for name in present.keys() | files.keys() if present.get(name) != files.get(name))
        return fault("deploy/kubernetes", f"{', '.join(names)} are not what the chart renders; run Scripts/check-deploy.sh --write")
    built = list(yaml.safe_load_all(run("deploy/kubernetes", [TOOLS / "kubectl", "kustomize", MANIFESTS])))
    secrets = run("make-secrets.sh", [MANIFESTS / "make-secrets.sh"])
    made = list(yaml.safe_load_all(secrets))
    if secrets == run("make-secrets.sh", [MANIFESTS / "make-secrets.sh"]):
        fault("make-secrets.sh", "makes the same secrets twice")
    check_objects("deploy/kubernetes", built + made, {})
    return len(built)


def main():
    write = "--write" in sys.argv[1:]
    folders = [argument for argument in sys.argv[1:] if argument != "--write"]
    daemon = pathlib.Path(folders[0]).resolve() / "parallaxd" if folders else None
    count = check_schema(write, daemon)
    check_rules(write)
    messages = [m for m in helm.lint(CHART, strict=True)["messages"] if m["severity"] >= 2]
    for message in messages:
        fault("helm lint", message["error"])
    sets = value_sets()
    objects = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if daemon:
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj",
                 "/CN=parallax", "-keyout", folder / "tls.key", "-out", folder / "tls.crt"], check=True, capture_output=True)
        for place, values in sets.items():
            try:
                documents, text = render(values)
            except helm.HelmError as error:
                fault(place, str(error))
                continue
            objects += len(documents)
            lint_yaml(place, text)
            check_objects(place, documents, values)
            if daemon:
                check_daemon(place, documents, daemon, folder)
    for values, part in REFUSED:
        try:
            render(values)
            fault("refusal", f"{json.dumps(values)} is accepted")
        except helm.HelmError as error:
            if part not in str(error):
                fault("refusal", f"{json.dumps(values)}: the message has no {part!r}: {error}")
    revisions = check_upgrades(sets)
    plain = check_manifests(write)
    for text in faults:
        print(f"error: {text}", file=sys.stderr)
    if faults:
        sys.exit(f"error: {len(faults)} faults in deploy")
    checked = f"their configurations pass {daemon.name} --check-config" if daemon else "no parallaxd was given to read their configurations"
    print(f"Chart: Helm {helm.helm_sdk_version()} renders {len(sets)} sets of values with {objects} objects, valid in Kubernetes "
          f"{', '.join(newest_versions())}; {checked}; {count} keys in the schema; {len(REFUSED)} mistakes refused; {revisions} installations "
          f"and upgrades keep the keys; {plain} plain manifests")


main()

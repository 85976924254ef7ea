"""A small stand-in for an API server of Kubernetes, for checks of deployments: it keeps objects and runs nothing.

Helm installs, upgrades and uninstalls releases against it, and kubectl reads, scales and deletes. It refuses what a real API server refuses
of a StatefulSet: changes of fields other than replicas, template, strategy and a few more. It has no authentication, so it listens on
loopback alone.
"""
import copy, http.server, itertools, json, re, threading, urllib.parse

# group/version: (plural, kind, namespaced)
KINDS = {
    "v1": [
        ("configmaps", "ConfigMap", True), ("namespaces", "Namespace", False), ("pods", "Pod", True), ("secrets", "Secret", True),
        ("serviceaccounts", "ServiceAccount", True), ("services", "Service", True),
        ("persistentvolumeclaims", "PersistentVolumeClaim", True)],
    "apps/v1": [("statefulsets", "StatefulSet", True), ("deployments", "Deployment", True)],
    "autoscaling/v2": [("horizontalpodautoscalers", "HorizontalPodAutoscaler", True)],
    "gateway.networking.k8s.io/v1": [("httproutes", "HTTPRoute", True)],
    "keda.sh/v1alpha1": [("scaledobjects", "ScaledObject", True)],
    "monitoring.coreos.com/v1": [("prometheusrules", "PrometheusRule", True), ("servicemonitors", "ServiceMonitor", True)],
    "networking.k8s.io/v1": [("ingresses", "Ingress", True), ("networkpolicies", "NetworkPolicy", True)],
    "policy/v1": [("poddisruptionbudgets", "PodDisruptionBudget", True)],
}
MUTABLE = {"replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy", "minReadySeconds"}
PATH = re.compile(r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+/[^/]+))(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>scale|status))?$")


class Refused(Exception):
    def __init__(self, code, reason, message):
        super().__init__(message)
        self.code, self.reason = code, reason


def merged(old, patch):
    """RFC 7386, and lists replaced as a whole: enough for objects that one manager writes."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = copy.deepcopy(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


class FakeKubernetes:
    """The objects by (group/version, plural, namespace, name), and the requests that were not understood."""

    def __init__(self):
        self.objects, self.unknown = {}, []
        self.versions = itertools.count(1)
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body leave together: written apart, they wait for the client's delayed acknowledgement.
            wbufsize = 1 << 16

            def handle_one(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else b""
                try:
                    with outer.lock:
                        code, answer = outer.answer(self.command, self.path, body, self.headers.get("Content-Type", ""))
                except Refused as refused:
                    code = refused.code
                    answer = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": refused.reason, "message": str(refused)}
                payload = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def kubeconfig(self, namespace):
        return json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake", "namespace": namespace}}],
            "users": [{"name": "fake", "user": {}}]})

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def find(self, plural, name):
        return next((value for key, value in self.objects.items() if key[1] == plural and key[3] == name), None)

    def answer(self, method, target, body, content_type):
        parts = urllib.parse.urlsplit(target)
        path, query = parts.path.rstrip("/"), urllib.parse.parse_qs(parts.query)
        if path == "/version":
            return 200, {"major": "1", "minor": "37", "gitVersion": "v1.37.0"}
        if path == "/openapi/v2":
            return 200, b""  # a document of OpenAPI in Protocol Buffers, without schemas: clients then validate nothing
        if path == "/api":
            return 200, {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            groups = []
            for version in KINDS:
                if "/" in version:
                    entry = {"groupVersion": version, "version": version.split("/")[1]}
                    groups.append({"name": version.split("/")[0], "versions": [entry], "preferredVersion": entry})
            return 200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        listed = path[len("/apis/"):] if path.startswith("/apis/") else path[len("/api/"):]
        if listed in KINDS:
            verbs = ["create", "delete", "get", "list", "patch", "update"]
            resources = [{"name": p, "singularName": k.lower(), "kind": k, "namespaced": n, "verbs": verbs} for p, k, n in KINDS[listed]]
            if listed == "apps/v1":
                scale = {"group": "autoscaling", "version": "v1", "kind": "Scale", "singularName": "", "namespaced": True, "verbs": verbs}
                resources += [{**scale, "name": "statefulsets/scale"}]
            return 200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": listed, "resources": resources}
        match = PATH.match(path)
        version = match and (match["core"] or match["group"])
        known = match and next((kind for kind in KINDS.get(version, []) if kind[0] == match["plural"]), None)
        if not known:
            if not path.startswith("/openapi/v3"):
                self.unknown.append(f"{method} {target}")
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        key = (version, match["plural"], match["namespace"] or "", match["name"])
        if match["sub"] == "scale":
            return self.scale(method, key, body)
        return self.resource(method, key, known[1], body, content_type, query)

    def scale(self, method, key, body):
        found = self.objects.get(key)
        if not found:
            raise Refused(404, "NotFound", f'{key[1]}.apps "{key[3]}" not found')
        if method in ("PUT", "PATCH"):
            found["spec"]["replicas"] = json.loads(body)["spec"]["replicas"]
        return 200, {
            "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": key[3], "namespace": key[2]},
            "spec": {"replicas": found["spec"].get("replicas", 1)}, "status": {"replicas": found["spec"].get("replicas", 1)}}

    def resource(self, method, key, kind, body, content_type, query):
        version, plural, namespace, name = key
        dry = "dryRun" in query
        if method == "GET" and not name:
            wanted = dict(part.split("=", 1) for part in query.get("labelSelector", [""])[0].split(",") if "=" in part)
            items = [
                value for (v, p, ns, _), value in self.objects.items()
                if (v, p) == (version, plural) and namespace in ("", ns)
                and wanted.items() <= value["metadata"].get("labels", {}).items()]
            return 200, {"kind": kind + "List", "apiVersion": version, "metadata": {"resourceVersion": "1"}, "items": items}
        if method == "POST":
            new = json.loads(body)
            key = (version, plural, namespace, new["metadata"]["name"])
            if key in self.objects:
                raise Refused(409, "AlreadyExists", f'{plural} "{key[3]}" already exists')
            return 201, self.store(key, new, dry)
        old = self.objects.get(key)
        if method == "PATCH" and "apply" in content_type:
            return (200 if old else 201), self.store(key, merged_apply(old, json.loads(body)), dry)
        if not old:
            raise Refused(404, "NotFound", f'{plural} "{name}" not found')
        if method == "GET":
            return 200, old
        if method == "DELETE":
            if not dry:
                del self.objects[key]
            return 200, {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        return 200, self.store(key, json.loads(body) if method == "PUT" else merged(old, json.loads(body)), dry)

    def store(self, key, new, dry):
        old = self.objects.get(key)
        if key[1] == "secrets" and "stringData" in new:
            import base64
            texts = new.pop("stringData")
            new.setdefault("data", {}).update({name: base64.b64encode(text.encode()).decode() for name, text in texts.items()})
        if old and key[1] == "statefulsets":
            for field in set(old["spec"]) | set(new["spec"]):
                if field not in MUTABLE and old["spec"].get(field) != new["spec"].get(field):
                    raise Refused(422, "Invalid", f'StatefulSet "{key[3]}" is invalid: spec: Forbidden: updates to {field} are forbidden')
        new["metadata"].update(namespace=key[2], uid=key[3], resourceVersion=str(next(self.versions)), creationTimestamp="2026-01-01T00:00:00Z")
        if not dry:
            self.objects[key] = new
        return new


def merged_apply(old, new):
    """Server-side apply by a single manager: what the manager leaves out is gone, except for the number of replicas."""
    result = copy.deepcopy(new)
    if old and "replicas" in old.get("spec", {}) and "replicas" not in result.get("spec", {}):
        result["spec"]["replicas"] = old["spec"]["replicas"]
    return result

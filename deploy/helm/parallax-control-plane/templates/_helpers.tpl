{{- define "parallax.name" -}}parallax-control-plane{{- end -}}
{{- define "parallax.redis.name" -}}parallax-redis{{- end -}}

{{- define "parallax.commonLabels" -}}
app.kubernetes.io/part-of: parallax
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* The labels of pods leave out versions: a new version of the chart alone restarts nothing. */}}
{{- define "parallax.podLabels" -}}
app: {{ include "parallax.name" . }}
app.kubernetes.io/name: parallax
app.kubernetes.io/component: control-plane
app.kubernetes.io/part-of: parallax
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "parallax.labels" -}}
app: {{ include "parallax.name" . }}
app.kubernetes.io/name: parallax
app.kubernetes.io/component: control-plane
{{ include "parallax.commonLabels" . }}
{{- end -}}

{{- define "parallax.redis.podLabels" -}}
app: {{ include "parallax.redis.name" . }}
app.kubernetes.io/name: redis
app.kubernetes.io/component: redis
app.kubernetes.io/part-of: parallax
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "parallax.redis.labels" -}}
app: {{ include "parallax.redis.name" . }}
app.kubernetes.io/name: redis
app.kubernetes.io/component: redis
{{ include "parallax.commonLabels" . }}
{{- end -}}

{{- define "parallax.image" -}}
{{- $image := .image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .default }}
{{- end -}}
{{- end -}}

{{- define "parallax.keysSecret" -}}
{{ .Values.controlPlane.apiKeys.existingSecret | default "parallax-control-plane-keys" }}
{{- end -}}

{{- define "parallax.redis.secret" -}}
{{ .Values.redis.auth.existingSecret | default "parallax-redis-password" }}
{{- end -}}

{{/* "true" if the pods mount a Secret with the password of Redis. */}}
{{- define "parallax.redis.hasSecret" -}}
{{- if or .Values.redis.enabled .Values.redis.auth.existingSecret -}}true{{- end -}}
{{- end -}}

{{- define "parallax.redis.count" -}}
{{- if eq .Values.redis.architecture "standalone" -}}1{{- else -}}{{ int .Values.redis.replica.replicaCount }}{{- end -}}
{{- end -}}

{{- define "parallax.redis.hasSentinels" -}}
{{- if and (eq .Values.redis.architecture "replication") .Values.redis.sentinel.enabled -}}true{{- end -}}
{{- end -}}

{{/* The name of a pod of Redis in the DNS of its namespace. Takes the ordinal. */}}
{{- define "parallax.redis.host" -}}
{{- $name := include "parallax.redis.name" . -}}
{{ $name }}-{{ . }}.{{ $name }}
{{- end -}}

{{/* "true" if the chart provides the nodes with keys; the configuration can bring a list of its own. */}}
{{- define "parallax.hasKeys" -}}
{{- $security := .Values.controlPlane.config.security | default dict -}}
{{- $listed := (($security.authentication | default dict).apiKeys) -}}
{{- if not (or $listed $security.allowUnauthenticated) -}}true{{- end -}}
{{- end -}}

{{- define "parallax.servesTLS" -}}
{{- $config := .Values.controlPlane.config -}}
{{- $mtls := (($config.security | default dict).mtls | default dict) -}}
{{- if or .Values.controlPlane.tls.existingSecret (($config.server | default dict).tls) (and $mtls.enabled $mtls.serverCert) -}}true{{- end -}}
{{- end -}}

{{- define "parallax.port" -}}
{{ int (dig "server" "port" 8080 .Values.controlPlane.config) }}
{{- end -}}

{{/* The milliseconds of a duration such as 1m30s. */}}
{{- define "parallax.milliseconds" -}}
{{- $units := dict "d" 86400000 "h" 3600000 "m" 60000 "s" 1000 "ms" 1 -}}
{{- $total := 0 -}}
{{- range regexFindAll "[0-9]+[a-z]+" . -1 -}}
{{- $total = add $total (mul (int64 (regexFind "^[0-9]+" .)) (get $units (regexFind "[a-z]+$" .))) -}}
{{- end -}}
{{- $total -}}
{{- end -}}

{{/* The seconds that a stopping node may take: drainDelay + drainTimeout, rounded up. */}}
{{- define "parallax.drainSeconds" -}}
{{- $server := .Values.controlPlane.config.server | default dict -}}
{{- $delay := include "parallax.milliseconds" ($server.drainDelay | default "0s") -}}
{{- $timeout := include "parallax.milliseconds" ($server.drainTimeout | default "30s") -}}
{{- div (add (int64 $delay) (int64 $timeout) 999) 1000 -}}
{{- end -}}

{{- define "parallax.gracePeriod" -}}
{{- $drain := int (include "parallax.drainSeconds" .) -}}
{{- $set := .Values.controlPlane.terminationGracePeriodSeconds -}}
{{- if kindIs "invalid" $set -}}
{{- add $drain 15 -}}
{{- else if le (int $set) $drain -}}
{{- fail (printf "controlPlane.terminationGracePeriodSeconds (%d) must exceed server.drainDelay + server.drainTimeout (%d s): Kubernetes would kill nodes that still hand over their work" (int $set) $drain) -}}
{{- else -}}
{{- int $set -}}
{{- end -}}
{{- end -}}

{{/* parallax.config.yaml: the values, and what follows from other parts of the chart. */}}
{{- define "parallax.config" -}}
{{- $config := deepCopy .Values.controlPlane.config -}}
{{- if and ($config.redis) .Values.redis.enabled -}}
{{- range list "url" "cluster" "sentinel" -}}
{{- if hasKey $config.redis . -}}
{{- fail (printf "controlPlane.config.redis.%s names a Redis, and redis.enabled installs another: set redis.enabled to false" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if .Values.redis.enabled -}}
{{- $password := "/run/secrets/parallax-redis/password" -}}
{{- $redis := dict "passwordFile" $password -}}
{{- if include "parallax.redis.hasSentinels" . -}}
{{- $nodes := list -}}
{{- range until (int (include "parallax.redis.count" .)) -}}
{{- $nodes = append $nodes (printf "%s:26379" (include "parallax.redis.host" .)) -}}
{{- end -}}
{{- $_ := set $redis "sentinel" (dict "masterName" .Values.redis.sentinel.masterName "nodes" $nodes "password" (printf "file:%s" $password)) -}}
{{- else -}}
{{- $_ := set $redis "url" (printf "redis://%s:6379" (include "parallax.redis.host" 0)) -}}
{{- end -}}
{{- $_ := set $config "redis" (mergeOverwrite $redis ($config.redis | default dict)) -}}
{{- else if .Values.redis.auth.existingSecret -}}
{{- $_ := set $config "redis" (mergeOverwrite (dict "passwordFile" "/run/secrets/parallax-redis/password") ($config.redis | default dict)) -}}
{{- end -}}
{{- $redis := $config.redis | default dict -}}
{{- if and (dig "highAvailability" "enabled" false $config) (not (or $redis.url $redis.cluster $redis.sentinel)) -}}
{{- fail "high availability needs a Redis that all nodes share: set redis.enabled, or controlPlane.config.redis.url, .cluster.nodes or .sentinel.nodes" -}}
{{- end -}}
{{- if and (not (dig "highAvailability" "enabled" false $config)) (ne (toString .Values.controlPlane.replicas) "1") -}}
{{- fail "without controlPlane.config.highAvailability.enabled there can be only one node: set controlPlane.replicas to 1" -}}
{{- end -}}
{{- $server := $config.server | default dict -}}
{{- with .Values.controlPlane.tls.existingSecret -}}
{{- $_ := set $server "tls" (dict "certificate" "/run/secrets/parallax-tls/tls.crt" "privateKey" "/run/secrets/parallax-tls/tls.key") -}}
{{- end -}}
{{- $hosts := $server.hosts | default list -}}
{{- if kindIs "string" $hosts -}}{{- $hosts = splitList "," (nospace $hosts) -}}{{- end -}}
{{- if .Values.ingress.enabled -}}{{- $hosts = append $hosts .Values.ingress.host -}}{{- end -}}
{{- if .Values.gateway.enabled -}}
{{- range .Values.gateway.hostnames -}}{{- if not (hasPrefix "*" .) -}}{{- $hosts = append $hosts . -}}{{- end -}}{{- end -}}
{{- end -}}
{{- if $hosts -}}{{- $_ := set $server "hosts" (uniq $hosts) -}}{{- end -}}
{{- if $server -}}{{- $_ := set $config "server" $server -}}{{- end -}}
{{- $mtls := (($config.security | default dict).mtls | default dict) -}}
{{- if and $mtls.enabled (ne ($mtls.clientAuth | default "require") "request") -}}
{{- fail "the kubelet's probes have no certificate: set controlPlane.config.security.mtls.clientAuth to request" -}}
{{- end -}}
{{- if .Values.controlPlane.patterns -}}
{{- $_ := set $config "patterns" (dict "directory" "/etc/parallax/patterns") -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* What "restricted" of the pod security standards asks of a container, and a read-only root. */}}
{{- define "parallax.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

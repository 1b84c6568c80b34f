{{- define "tenant-backup.name" -}}
{{- if contains "tenant-backup" .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-tenant-backup" .Release.Name | trunc 52 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{- define "tenant-backup.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end -}}
{{- end }}

{{- define "tenant-backup.selectorLabels" -}}
app.kubernetes.io/name: tenant-backup
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{/* Movers carry app.kubernetes.io/managed-by: tenant-backup; what the chart makes is Helm's. */}}
{{- define "tenant-backup.labels" -}}
{{ include "tenant-backup.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* The chart's labels and a person's, which are told apart: (list $ LABELS WHERE). A label twice would be no YAML, and selectors need ours. */}}
{{- define "tenant-backup.withLabels" -}}
{{- $own := include "tenant-backup.labels" (index . 0) | fromYaml -}}
{{- $where := index . 2 -}}
{{- range $name, $value := index . 1 -}}
{{- if hasKey $own $name }}{{ fail (printf "%s: the label %s is the chart's own; leave it out" $where $name) }}{{ end -}}
{{- end -}}
{{ merge (dict) (index . 1) $own | toYaml }}
{{- end }}

{{- define "tenant-backup.moverNamespace" -}}
{{- $namespace := .Values.mover.namespace | default (printf "%s-movers" .Release.Namespace | trunc 63 | trimSuffix "-") -}}
{{- if eq $namespace .Release.Namespace }}{{ fail "mover.namespace: movers cannot run in the release's own namespace, where the Secrets of every location lie; name another one, or leave it empty" }}{{ end -}}
{{ $namespace }}
{{- end }}

{{- define "tenant-backup.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "tenant-backup.name" . }}
{{- end }}

{{/* What one looks at when a backup or a restore waits. */}}
{{- define "tenant-backup.surroundings" -}}
- apiGroups: [""]
  resources: [events, pods, persistentvolumeclaims]
  verbs: [get, list, watch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch]
- apiGroups: [snapshot.storage.k8s.io, groupsnapshot.storage.k8s.io]
  resources: [volumesnapshots, volumegroupsnapshots]
  verbs: [get, list, watch]
{{- end }}

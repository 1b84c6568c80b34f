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

{{- define "tenant-backup.moverNamespace" -}}
{{- .Values.mover.namespace | default (printf "%s-movers" .Release.Namespace | trunc 63 | trimSuffix "-") }}
{{- end }}

{{- define "tenant-backup.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "tenant-backup.name" . }}
{{- end }}

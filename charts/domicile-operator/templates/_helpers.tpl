{{- define "domicile.labels" -}}
{{ include "domicile.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: domicile
app.kubernetes.io/component: operator
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
domicile.dev/country: {{ lower .Values.country | quote }}
{{- end }}

{{- define "domicile.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "domicile.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* Of the cluster: two releases in two namespaces do not share rights. */}}
{{- define "domicile.clusterName" -}}
{{ printf "%s-%s" .Release.Namespace (include "domicile.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "domicile.image" -}}
{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}

{{- define "domicile.podSecurity" -}}
{ runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, seccompProfile: { type: RuntimeDefault } }
{{- end }}

{{- define "domicile.containerSecurity" -}}
{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: [ALL] } }
{{- end }}

{{/* Always pinned: once the operator runs, its namespace takes no pod that is not. */}}
{{- define "domicile.pin" -}}
{{- $regions := .Values.regions | default (get (include "domicile.regionsOfPacks" . | fromJson) .Values.country) -}}
{ nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: topology.kubernetes.io/region, operator: In, values: {{ toJson $regions }} }] }] } } }
{{- end }}

{{- define "domicile.faults" -}}
{{- include "domicile.placeFaults" (dict "at" "regions" "country" .Values.country "regions" .Values.regions) }}
{{- $taken := list "default" .Release.Namespace }}
{{- range prepend .Values.buildingNamespaces .Values.cellNamespace }}
  {{- if or (has . $taken) (hasPrefix "kube-" .) }}
- cellNamespace, buildingNamespaces: {{ . }} is taken; the operator, the cell and the buildings have namespaces of their own
  {{- end }}
{{- end }}
{{- if has .Values.cellNamespace .Values.buildingNamespaces }}
- buildingNamespaces: {{ .Values.cellNamespace }} is the cell's; who declares buildings must not reach its keys
{{- end }}
{{- if ge (int .Values.lease.renewSeconds) (div (int .Values.lease.durationSeconds) 2) }}
- lease.renewSeconds: must be less than half of lease.durationSeconds
{{- end }}
{{- end }}

{{/* What the schema cannot say, as one line a fault and all of them at once, by the rules of the operator. */}}
{{- define "domicile.faults" -}}
{{- include "domicile.placeFaults" (dict "at" "regions" "country" .Values.country "regions" .Values.regions) }}
{{- with .Values.lake }}
  {{- if not (has .region $.Values.regions) }}
- lake.region: {{ .region }} is none of the cell's regions: {{ $.Values.regions | join ", " }}
  {{- end }}
  {{- if and (eq .store "gcs") (gt (int .softDeleteDays) 0) (lt (int .softDeleteDays) 7) }}
- lake.softDeleteDays: Cloud Storage brings back what was deleted for 7 to 90 days, or, with 0, not at all
  {{- end }}
  {{- if eq .landingBucket .servingBucket }}
- lake.servingBucket: raw readings and summaries need buckets of their own
  {{- end }}
  {{- if ne (values .identities | uniq | len) (len .identities) }}
- lake.identities: each needs a Secret of its own, or the store could not tell them apart
  {{- end }}
{{- end }}
{{- if not (hasPrefix "https://" (.Values.enrolment.url | default "https://")) }}
- enrolment.url: gateways show their certificate there, so it begins with https://
{{- end }}
{{- if and .Values.api.replicasMax (lt (int .Values.api.replicasMax) (int .Values.api.replicas)) }}
- api.replicasMax: must be at least api.replicas
{{- end }}
{{- if or (has .Values.namespace (list "default" "domicile-system")) (hasPrefix "kube-" .Values.namespace) }}
- namespace: {{ .Values.namespace }} is taken; the cell needs one of its own
{{- end }}
{{- end }}

{{- define "domicile.cellName" -}}
{{ .Values.name | default (lower .Values.country) }}
{{- end }}

{{- define "domicile.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: domicile
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

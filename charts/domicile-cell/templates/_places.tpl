{{/*
What is wrong with a country and regions, one line a fault: { at, country, regions }. The world is closed: a country without a
pack and a region that its pack does not list are refused.
*/}}
{{- define "domicile.placeFaults" -}}
{{- $packs := include "domicile.regionsOfPacks" . | fromJson }}
{{- $homes := dict }}
{{- range $country, $regions := $packs }}
  {{- range $regions }}{{ $_ := set $homes . $country }}{{ end }}
{{- end }}
{{- $country := .country }}
{{- if not (hasKey $packs $country) }}
- country: {{ $country }} has no country pack; those that have: {{ keys $packs | sortAlpha | join ", " }}
{{- else }}
  {{- $at := .at }}
  {{- range .regions }}
    {{- if not (has . (get $packs $country)) }}
      {{- if hasKey $homes . }}
- {{ $at }}: {{ . }} lies in {{ get $homes . }}, and this cluster is one of {{ $country }}
      {{- else }}
- {{ $at }}: {{ . }} is no region of {{ $country }}; its pack lists {{ get $packs $country | join ", " }}
      {{- end }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}

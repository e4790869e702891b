{{/*
What the schema cannot say, as one line a fault and all of them at once, so that nothing is rendered from half-right
values. The rules are those by which a cell reads the same file.
*/}}
{{- define "domicile.faults" -}}
{{- $size := toJson .Values.buildings | len }}
{{- if gt $size 2000000 }}
- buildings: are {{ $size }} characters long, and a release is one Secret of 1 MiB: more than 2000000 are several releases
{{- else }}
  {{- include "domicile.valuesFaults" . }}
  {{- include "domicile.departureFaults" . }}
{{- end }}
{{- end }}

{{/* Helm would say that it is upgraded, and what it declared would go with the old resource. Seen only where Helm asks a cluster. */}}
{{- define "domicile.departureFaults" -}}
{{- $namespace := .Release.Namespace }}
{{- if .Capabilities.APIVersions.Has "domicile.dev/v1alpha1/Building" }}
  {{- range (lookup "domicile.dev/v1alpha1" "Building" $namespace "").items }}
    {{- $id := .metadata.name }}
    {{- if and .metadata.deletionTimestamp (hasKey $.Values.buildings $id) }}
      {{- $until := dig "status" "erasure" "until" "" . }}
- buildings.{{ $id }}: is being taken out{{ with $until }} until {{ . }} at the earliest{{ end }}, and what is declared now would go with it. Run this again when it is gone (kubectl --namespace {{ $namespace }} wait --for=delete building/{{ $id }} --timeout=10m), or leave it out of the values; how to let it go at once: domicile plan --server
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "domicile.valuesFaults" -}}
{{- $countries := include "domicile.countries" . | splitList "\n" | join " " | splitList " " }}
{{- $homes := dict }}
{{- with .Values.country }}
  {{- if not (has . $countries) }}
- country: {{ . }} is no country of ISO 3166-1
  {{- end }}
{{- end }}
{{- range $name, $type := .Values.deviceTypes }}
  {{- include "domicile.deviceTypeFaults" (dict "name" $name "type" $type) }}
{{- end }}
{{- range $id, $building := .Values.buildings }}
  {{- $home := upper (substr 0 2 $id) }}
  {{- $_ := set $homes $home true }}
  {{- if not (has $home $countries) }}
- buildings.{{ $id }}: an id begins with its country, as de-7f3k; {{ lower $home }} is none
  {{- end }}
  {{- if ne $home ($.Values.country | default $home) }}
- buildings.{{ $id }}: is a building of {{ $home }}, and this cluster serves {{ $.Values.country }} alone
  {{- end }}
  {{- if ne $home ($building.country | default $home) }}
- buildings.{{ $id }}.country: is {{ $building.country }}, and the id begins with {{ lower $home }}
  {{- end }}
  {{- if hasSuffix "-" $id }}
- buildings.{{ $id }}: the name of a resource ends with a letter or a digit
  {{- end }}
  {{- if ne (include "domicile.isTimeZone" $building.timeZone) "true" }}
- buildings.{{ $id }}.timeZone: {{ $building.timeZone }} is no IANA time zone such as Europe/Berlin
  {{- end }}
  {{- include "domicile.devicesFaults" (dict "root" $ "id" $id "building" $building) }}
{{- end }}
{{- if gt (len $homes) 1 }}
- buildings: are of {{ keys $homes | sortAlpha | join ", " }}, and one cluster serves one country
{{- end }}
{{- end }}

{{- define "domicile.deviceTypeFaults" -}}
{{- $builtIn := include "domicile.deviceTypes" . | splitList " " }}
{{- if has .name $builtIn }}
- deviceTypes.{{ .name }}: is in the built-in catalogue; choose another name
{{- end }}
{{- if not (regexMatch "[1-9]" (.type.every | default "PT10S")) }}
- deviceTypes.{{ .name }}.every: must be longer than nothing
{{- end }}
{{- $name := .name }}
{{- range $metric, $of := .type.metrics }}
  {{- if and (hasKey $of "min") (hasKey $of "max") }}
    {{- if ge (float64 $of.min) (float64 $of.max) }}
- deviceTypes.{{ $name }}.metrics.{{ $metric }}: min must be below max
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Of the devices of one building: { root, id, building }. */}}
{{- define "domicile.devicesFaults" -}}
{{- $at := printf "buildings.%s" .id }}
{{- $roomTypes := .root.Values.roomTypes | default dict }}
{{- $devices := dict }}
{{- $used := dict }}
{{- range $floor, $of := .building.floors }}
  {{- range $range, $values := $of.rooms }}
    {{- $place := printf "%s.floors.%s.rooms.%s" $at $floor $range }}
    {{- $room := include "domicile.room" $values | fromJson }}
    {{- $inEach := dict }}
    {{- with $room.type }}
      {{- if hasKey $roomTypes . }}
        {{- $inEach = merge $inEach (get $roomTypes .) }}
      {{- else }}
- {{ $place }}: there is no room type {{ . }}
      {{- end }}
    {{- end }}
    {{- with $room.validFrom }}{{ include "domicile.timeFaults" (dict "at" $place "time" .) }}{{ end }}
    {{- $inEach = mergeOverwrite (dict) $inEach ($room.devices | default dict) }}
    {{- $names := include "domicile.roomNames" $range | fromJsonArray }}
    {{- if not $names }}
- {{ $place }}: expected a room or a range such as r1[01-25], rising, of at most 1000 rooms
    {{- end }}
    {{- range $end, $type := $inEach }}
      {{- $_ := set $used $type true }}
      {{- range $names }}{{ $_ := set $devices (printf "%s-%s" . $end) true }}{{ end }}
    {{- end }}
  {{- end }}
{{- end }}
{{- range $device, $of := .building.devices }}
  {{- $_ := set $used $of.type true }}
  {{- $_ := set $devices $device true }}
  {{- range $of.placements }}
    {{- with .validFrom }}{{ include "domicile.timeFaults" (dict "at" (printf "%s.devices.%s" $at $device) "time" .) }}{{ end }}
  {{- end }}
{{- end }}
{{- if gt (len $devices) 5000 }}
- {{ $at }}: has {{ len $devices }} devices; 5000 are allowed
{{- end }}
{{- if hasKey $devices "gateway" }}
- {{ $at }}: the device id gateway is reserved
{{- end }}
{{- range $device, $_ := $devices }}
  {{- if gt (len $device) 63 }}
- {{ $at }}: {{ $device }} is no device id: it has more than 63 characters
  {{- end }}
{{- end }}
{{- $types := include "domicile.deviceTypes" . | splitList " " }}
{{- $declared := .root.Values.deviceTypes | default dict }}
{{- range $type, $_ := $used }}
  {{- if not (or (has $type $types) (hasKey $declared $type)) }}
- {{ $at }}: there is no device type {{ $type }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "domicile.timeFaults" -}}
{{- if (toDate "2006-01-02T15:04:05Z07:00" (upper .time)).IsZero }}
- {{ .at }}.validFrom: {{ .time }} is no time
{{- end }}
{{- end }}

{{/* A room as an object, in JSON; a text is the name of its room type. */}}
{{- define "domicile.room" -}}
{{- if kindIs "string" . }}{{ dict "type" . | toJson }}{{ else }}{{ . | default dict | toJson }}{{ end }}
{{- end }}

{{/* `r1[01-25]` → r101 … r125, with the zeros of the first bound, as a JSON array; empty if it cannot be read. */}}
{{- define "domicile.roomNames" -}}
{{- $pattern := "^([a-z0-9-]*)\\[(\\d{1,6})-(\\d{1,6})\\]([a-z0-9-]*)$" }}
{{- $names := list }}
{{- if regexMatch $pattern . }}
  {{- $first := regexReplaceAll $pattern . "${2}" }}
  {{- $from := atoi $first }}
  {{- $to := regexReplaceAll $pattern . "${3}" | atoi }}
  {{- $format := printf "%s%%0%dd%s" (regexReplaceAll $pattern . "${1}") (len $first) (regexReplaceAll $pattern . "${4}") }}
  {{- if and (ge $to $from) (le (sub $to $from) 999) }}
    {{- range untilStep $from (add1 $to | int) 1 }}{{ $names = append $names (printf $format .) }}{{ end }}
  {{- end }}
{{- else }}
  {{- $names = list . }}
{{- end }}
{{- range $names }}
  {{- if not (regexMatch "^[a-z0-9][a-z0-9-]{0,62}$" .) }}{{ $names = list }}{{ end }}
{{- end }}
{{- $names | toJson }}
{{- end }}

{{/*
Whether it is an IANA time zone. A name that is not known reads as UTC; where the machine knows no zones at all, nothing
is refused here and the cell decides.
*/}}
{{- define "domicile.isTimeZone" -}}
{{- $day := toDate "2006-01-02" "2026-01-01" }}
{{- $knowsZones := ne (dateInZone "MST" $day "Asia/Tokyo") "UTC" }}
{{- $isUtc := has . (list "UTC" "Etc/UTC" "Etc/UCT" "Etc/Universal" "Etc/Zulu" "UCT" "Universal" "Zulu") }}
{{- or $isUtc (not $knowsZones) (and (ne . "Local") (ne (dateInZone "MST" $day .) "UTC")) }}
{{- end }}

{{/* The specification of one building: { root, id, building }. It carries what it uses, so that it stands alone. */}}
{{- define "domicile.spec" -}}
{{- $roomTypes := dict }}
{{- $used := dict }}
{{- $floors := dict }}
{{- range $floor, $of := .building.floors }}
  {{- $rooms := dict }}
  {{- range $range, $values := $of.rooms }}
    {{- $room := include "domicile.room" $values | fromJson }}
    {{- $_ := set $rooms $range $room }}
    {{- with $room.type }}{{ $_ := set $roomTypes . (get $.root.Values.roomTypes .) }}{{ end }}
    {{- range $room.devices }}{{ $_ := set $used . true }}{{ end }}
  {{- end }}
  {{- $_ := set $floors $floor (dict "rooms" $rooms) }}
{{- end }}
{{- range $roomTypes }}{{ range . }}{{ $_ := set $used . true }}{{ end }}{{ end }}
{{- range .building.devices }}{{ $_ := set $used .type true }}{{ end }}
{{- $types := dict }}
{{- range $name, $type := .root.Values.deviceTypes }}
  {{- if hasKey $used $name }}{{ $_ := set $types $name $type }}{{ end }}
{{- end -}}
country: {{ upper (substr 0 2 .id) | quote }}
client: {{ .building.client | quote }}
timeZone: {{ .building.timeZone | quote }}
{{- with .building.name }}
name: {{ . | quote }}
{{- end }}
deletionPolicy: {{ .building.deletionPolicy | default "Retain" }}
{{- if .building.exportBeforeDelete }}
exportBeforeDelete: true
{{- end }}
{{- if .building.legalHold }}
legalHold: true
{{- end }}
{{- with .building.quotas }}
quotas: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $types }}
deviceTypes: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $roomTypes }}
roomTypes: {{- toYaml . | nindent 2 }}
{{- end }}
floors: {{- toYaml $floors | nindent 2 }}
{{- with .building.devices }}
devices: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

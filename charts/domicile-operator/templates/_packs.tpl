{{/* Country packs: each country and where its cells may stand. Written by the test of the charts. */}}
{{- define "domicile.packs" -}}
AE onprem-ae-abudhabi onprem-ae-dubai
AU australia-southeast1 australia-southeast2
BE europe-west1
BR southamerica-east1
CA northamerica-northeast1 northamerica-northeast2
CH europe-west6
CL southamerica-west1
CN onprem-cn-beijing onprem-cn-shanghai
DE europe-west3 europe-west10
EG onprem-eg-cairo
ES europe-southwest1
FI europe-north1
FR europe-west9
GB europe-west2
HK asia-east2
ID asia-southeast2
IL me-west1
IN asia-south1 asia-south2
IT europe-west8 europe-west12
JP asia-northeast1 asia-northeast2
KE onprem-ke-nairobi
KR asia-northeast3
KZ onprem-kz-almaty onprem-kz-astana
MX northamerica-south1
NG onprem-ng-abuja onprem-ng-lagos
NL europe-west4
PL europe-central2
QA me-central1
RU onprem-ru-moscow onprem-ru-petersburg
SA me-central2
SE europe-north2
SG asia-southeast1
TH asia-southeast3
TR onprem-tr-ankara onprem-tr-istanbul
TW asia-east1
US us-central1 us-east1 us-east4 us-east5 us-south1 us-west1 us-west2 us-west3 us-west4
VN onprem-vn-hanoi onprem-vn-hochiminh
ZA africa-south1
{{- end }}

{{/* The regions of each country that has a pack, as JSON. */}}
{{- define "domicile.regionsOfPacks" -}}
{{- $packs := dict }}
{{- range include "domicile.packs" . | trim | splitList "\n" }}
  {{- $words := splitList " " . }}
  {{- $_ := set $packs (first $words) (rest $words) }}
{{- end }}
{{- toJson $packs }}
{{- end }}

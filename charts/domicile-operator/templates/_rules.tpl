{{/* What the operator may do in each namespace; `create` cannot be limited by name. No wildcard, and no Secret of another namespace. */}}

{{- define "domicile.rulesOfOperator" -}}
- { apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create] }
- { apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [{{ include "domicile.name" . }}], verbs: [get, patch] }
- { apiGroups: [''], resources: [secrets], verbs: [get, list, watch, create] }
- { apiGroups: [''], resources: [configmaps], verbs: [get, create, patch] }
- { apiGroups: [''], resources: [pods], verbs: [list, watch] }
{{- end }}

{{/* The resource Cell is of the cluster: its events are kept in default. */}}
{{- define "domicile.rulesOfEvents" -}}
- { apiGroups: [events.k8s.io], resources: [events], verbs: [create, patch] }
{{- end }}

{{- define "domicile.rulesOfCell" -}}
- { apiGroups: [''], resources: [pods], verbs: [list, watch] }
- { apiGroups: [''], resources: [secrets], verbs: [get, list, watch, create, patch] }
- { apiGroups: [''], resources: [persistentvolumeclaims], verbs: [get, list, watch, create, patch] }
- { apiGroups: [''], resources: [configmaps, services, serviceaccounts], verbs: [get, list, watch, create, patch, delete] }
- { apiGroups: [apps], resources: [deployments], verbs: [get, list, watch, create, patch, delete] }
- { apiGroups: [apps], resources: [statefulsets], verbs: [get, list, watch, create, patch] }
- { apiGroups: [networking.k8s.io], resources: [networkpolicies], verbs: [get, list, watch, create, patch, delete] }
- { apiGroups: [policy], resources: [poddisruptionbudgets], verbs: [get, list, watch, create, patch, delete] }
- { apiGroups: [autoscaling], resources: [horizontalpodautoscalers], verbs: [get, list, watch, create, patch, delete] }
- { apiGroups: [batch], resources: [jobs], verbs: [get, create, delete] }
{{- end }}

{{- define "domicile.rulesOfBuildings" -}}
- { apiGroups: [''], resources: [pods], verbs: [list, watch] }
- { apiGroups: [''], resources: [secrets], verbs: [get, list, watch, create, patch, delete] }
- { apiGroups: [events.k8s.io], resources: [events], verbs: [create, patch] }
{{- end }}

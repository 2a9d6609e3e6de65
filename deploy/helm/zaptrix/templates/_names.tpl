{{/* Names and labels: by the release, so that several live in one namespace. */}}

{{- define "zaptrix.name" -}}
{{- if contains "zaptrix" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-zaptrix{{ end }}
{{- end }}

{{/* {root, part} */}}
{{- define "zaptrix.selector" -}}
app.kubernetes.io/name: zaptrix
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{/* {root, part} */}}
{{- define "zaptrix.labels" -}}
{{ include "zaptrix.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "zaptrix.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "zaptrix.host" -}}
{{ (urlParse .Values.publicUrl).hostname }}
{{- end }}

{{/* A gateway keeps its disk from pod to pod as a StatefulSet only. */}}
{{- define "zaptrix.gatewayKind" -}}
{{ ternary "StatefulSet" "Deployment" .Values.gateway.spool.persistent }}
{{- end }}

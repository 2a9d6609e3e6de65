{{/* What a process is told: settings as variables, secrets as files that NAME_FILE names. */}}

{{/* A setting's value as text. YAML's numbers reach us as floats, whose own text is 1e+06. */}}
{{- define "zaptrix.text" -}}
{{- if kindIs "slice" . }}{{ join "," . }}
{{- else if kindIs "float64" . }}{{ if eq . (floor .) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- else }}{{ . }}{{ end }}
{{- end }}

{{/* {root, own}: all variables; own: those of this part, which nobody replaces. */}}
{{- define "zaptrix.variables" -}}
{{- $given := dict "HOST" "0.0.0.0" "PUBLIC_URL" .root.Values.publicUrl "DATA_DIR" "/var/lib/zaptrix" }}
{{- with .root.Values.media.url }}{{ $_ := set $given "MEDIA_URL" . }}{{ end }}
{{- $lines := list }}
{{- range $name, $value := mergeOverwrite $given (deepCopy (.root.Values.settings | default dict)) .own }}
{{- $lines = append $lines (printf "- name: %s\n  value: %s" $name (include "zaptrix.text" $value | quote)) }}
{{- end }}
{{- range $name, $where := include "zaptrix.secretsOf" (dict "root" .root "only" ".*") | fromJson }}
{{- $lines = append $lines (include "zaptrix.secretVariable" $name) }}
{{- end }}
{{- join "\n" $lines }}
{{- end }}

{{- define "zaptrix.secretVariable" -}}
- name: {{ . }}_FILE
  value: /run/secrets/zaptrix/{{ . }}
{{- end }}

{{/* {root, only}: every secret setting that is mounted, as {name: {secret, key}}; only: a pattern of names. */}}
{{- define "zaptrix.secretsOf" -}}
{{- $found := dict }}
{{- range .root.Values.secrets.names }}
{{- $_ := set $found . (dict "secret" $.root.Values.secrets.existingSecret "key" .) }}
{{- end }}
{{- range $name, $where := .root.Values.secrets.from }}
{{- $_ := set $found $name $where }}
{{- end }}
{{- $chosen := dict }}
{{- range $name, $where := $found }}
{{- if regexMatch $.only $name }}{{ $_ := set $chosen $name $where }}{{ end }}
{{- end }}
{{- toJson $chosen }}
{{- end }}

{{/* {root, only} */}}
{{- define "zaptrix.secretVolume" -}}
- name: secrets
  projected:
    # Whoever is in the container is us; not every platform gives the files to our group.
    defaultMode: 0444
    sources:
    {{- range $name, $where := include "zaptrix.secretsOf" . | fromJson }}
    - secret:
        name: {{ $where.secret }}
        items:
        - {key: {{ $where.key | quote }}, path: {{ $name }}}
    {{- end }}
{{- end }}

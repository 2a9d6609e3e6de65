{{/* What cannot be installed is refused here, all of it at once, in both languages; a wrong name or type is the schema's. */}}

{{- define "zaptrix.refuse" -}}
{{- $said := list }}
{{- $v := .Values }}
{{- /* 63 characters for a label: that of a StatefulSet's pods has the name, -gateway and a hash of 10. A CronJob's name: 52. */}}
{{- if gt (len (include "zaptrix.name" .)) 44 }}
{{- $said = append $said (printf "the release's name is too long: %s may have 44 characters | o nome da release é longo demais: %s pode ter 44 caracteres" (include "zaptrix.name" .) (include "zaptrix.name" .)) }}
{{- end }}
{{- if not $v.image.repository }}
{{- $said = append $said "image.repository is not set: the image in your registry, without a tag | não está definido: a imagem no seu registro, sem tag" }}
{{- end }}
{{- if not $v.publicUrl }}
{{- $said = append $said "publicUrl is not set: the address at which the platforms reach the gateway, such as https://gateway.example.com | não está definido: o endereço pelo qual as plataformas alcançam o gateway" }}
{{- end }}
{{- $names := $v.secrets.names | default list }}
{{- $elsewhere := keys ($v.secrets.from | default dict) }}
{{- $held := without $names $elsewhere | join ", " }}
{{- if and $held (not $v.secrets.existingSecret) }}
{{- $said = append $said (printf "secrets.existingSecret is not set: the Secret that holds %s | não está definido: o Secret que contém isso" $held) }}
{{- end }}
{{- range tuple "DATABASE_URL" "REDIS_URL" "ENCRYPTION_KEYS" "META_APP_SECRET" "META_VERIFY_TOKEN" }}
{{- if not (or (has . $names) (has . $elsewhere)) }}
{{- $said = append $said (printf "secrets.names: %s is needed, there or in secrets.from | %s é necessário, ali ou em secrets.from" . .) }}
{{- end }}
{{- end }}
{{- $mediaSecret := or (has "MEDIA_URL" $names) (has "MEDIA_URL" $elsewhere) }}
{{- if not (or $v.media.url $v.media.existingClaim $mediaSecret) }}
{{- $said = append $said "media: gateways and workers must see the same files: set media.url (s3://bucket/prefix) or media.existingClaim (ReadWriteMany) | gateways e workers precisam ver os mesmos arquivos: defina media.url ou media.existingClaim" }}
{{- end }}
{{- if gt (len (compact (list $v.media.url $v.media.existingClaim (ternary "secret" "" $mediaSecret)))) 1 }}
{{- $said = append $said "media: files are kept in one place: keep media.url, media.existingClaim or the secret MEDIA_URL alone | os arquivos ficam em um só lugar: deixe só um deles" }}
{{- end }}
{{- if and $v.networkPolicy.enabled (not $v.networkPolicy.clients) }}
{{- $said = append $said "networkPolicy.clients is empty, so nobody could call the gateway: name your ingress controller, such as [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}}] | está vazio, e ninguém poderia chamar o gateway: indique o controlador de ingress" }}
{{- end }}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) }}
{{- $said = append $said "httpRoute.parentRefs is empty: name the Gateway, such as [{name: public, namespace: gateways}] | está vazio: indique o Gateway" }}
{{- end }}
{{- if and $v.backup.enabled (not (or $v.backup.to $v.backup.existingClaim)) }}
{{- $said = append $said "backup: set backup.to (s3://bucket/backups) or backup.existingClaim | defina backup.to ou backup.existingClaim" }}
{{- end }}
{{- if and $v.backup.to $v.backup.existingClaim }}
{{- $said = append $said "backup: backups are kept in one place: keep backup.to or backup.existingClaim | backups ficam em um só lugar" }}
{{- end }}
{{- if and $v.ingress.enabled $v.httpRoute.enabled }}
{{- $said = append $said "ingress and httpRoute are both enabled: keep one | ingress e httpRoute estão ativos: deixe um" }}
{{- end }}
{{- range $part := tuple "gateway" "worker" }}
{{- with index $v $part "autoscaling" }}
{{- if and .enabled (gt (int64 .minReplicas) (int64 .maxReplicas)) }}
{{- $said = append $said (printf "%s.autoscaling: minReplicas is more than maxReplicas | minReplicas é maior que maxReplicas" $part) }}
{{- end }}
{{- end }}
{{- end }}
{{- if $said }}
{{- fail (printf "\n\n  - %s\n" (uniq $said | join "\n  - ")) }}
{{- end }}
{{- end }}

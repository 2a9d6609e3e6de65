{{/* What every pod of ours is: the restricted standard of pod security, nothing of the cluster's, room to write in. */}}

{{- define "zaptrix.podBasis" -}}
automountServiceAccountToken: false
# A service named zaptrix would set ZAPTRIX_PORT and others, which look like settings.
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- with .Values.podSecurity.runAsUser }}
  runAsUser: {{ int64 . }}
  runAsGroup: {{ int64 . }}
  {{- end }}
  {{- with .Values.podSecurity.fsGroup }}
  fsGroup: {{ int64 . }}
  # Without this a large claim of files is walked through at every start.
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "zaptrix.containerBasis" -}}
image: {{ include "zaptrix.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* {root, part, values}: where a pod may be, and where its like are not. */}}
{{- define "zaptrix.placement" -}}
topologySpreadConstraints:
{{- range tuple "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- include "zaptrix.selector" $ | nindent 6 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* {root, part, values}: labels and annotations of a pod. */}}
{{- define "zaptrix.podMetadata" -}}
labels:
  {{- with .values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- include "zaptrix.labels" . | nindent 2 }}
annotations:
  kubectl.kubernetes.io/default-container: {{ .part }}
  {{- with .values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* Room to write in, secrets and certificates. */}}
{{- define "zaptrix.basicMounts" -}}
- {name: data, mountPath: /var/lib/zaptrix}
- {name: tmp, mountPath: /tmp}
- {name: secrets, mountPath: /run/secrets/zaptrix, readOnly: true}
{{- if .Values.certificates.secret }}
- {name: certificates, mountPath: /run/secrets/certificates, readOnly: true}
{{- end }}
{{- end }}

{{/* The same, and the files of messages. */}}
{{- define "zaptrix.mounts" -}}
{{ include "zaptrix.basicMounts" . }}
{{- if .Values.media.existingClaim }}
- {name: media, mountPath: /var/lib/zaptrix/media}
{{- end }}
{{- end }}

{{/* {root, claimed, only}: claimed: whether each pod's data have a claim of their own; only: a pattern of secrets. */}}
{{- define "zaptrix.basicVolumes" -}}
- name: tmp
  emptyDir: {}
{{- if not .claimed }}
- name: data
  emptyDir: {}
{{- end }}
{{ include "zaptrix.secretVolume" (dict "root" .root "only" (.only | default ".*")) }}
{{- with .root.Values.certificates.secret }}
- name: certificates
  secret: {secretName: {{ . }}, defaultMode: 0444}
{{- end }}
{{- end }}

{{/* The same, and the files of messages. */}}
{{- define "zaptrix.volumes" -}}
{{ include "zaptrix.basicVolumes" . }}
{{- with .root.Values.media.existingClaim }}
- name: media
  persistentVolumeClaim: {claimName: {{ . }}}
{{- end }}
{{- end }}

{{/* {port}: who asks /health instead would restart, or send away, every gateway at once when a database is away. */}}
{{- define "zaptrix.aliveProbes" -}}
startupProbe:
  httpGet: {path: /health/live, port: {{ .port }}}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /health/live, port: {{ .port }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}

{{/* {root, part}: one pod at a time may be taken away by whoever drains a node. */}}
{{- define "zaptrix.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "zaptrix.name" .root }}-{{ .part }}
  labels: {{- include "zaptrix.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "zaptrix.selector" . | nindent 6 }}
{{- end }}

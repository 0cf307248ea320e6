{{- define "name" -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "labels" -}}
app.kubernetes.io/name: {{ .Chart.Name | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- end -}}

{{- define "selector" -}}
app.kubernetes.io/name: {{ .Chart.Name | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "image" -}}
{{- if .Values.service.image.custom.enabled -}}{{ .Values.service.image.custom.version }}{{- else -}}{{ .Values.service.image.version }}{{- end -}}
{{- end -}}

{{- define "language" -}}
{{- if eq (toString .Values.userPreferences.language) "fr" -}}fr{{- else -}}en{{- end -}}
{{- end -}}

{{/* What the start script and everything in the service find in their environment; secrets are apart. */}}
{{- define "environment" -}}
- name: HOME
  value: /home/onyxia
- name: SHELL
  value: /bin/bash
- name: ETABLI_LANGUAGE
  value: {{ include "language" . | quote }}
- name: ETABLI_DARK_MODE
  value: {{ .Values.userPreferences.darkMode | quote }}
{{- with .Values.init.regionInit }}
- name: REGION_INIT_SCRIPT
  value: {{ . | quote }}
{{- end }}
{{- with .Values.init.regionInitCheckSum }}
- name: REGION_INIT_SCRIPT_CHECKSUM
  value: {{ . | quote }}
{{- end }}
{{- with .Values.init.personalInit }}
- name: PERSONAL_INIT_SCRIPT
  value: {{ . | quote }}
{{- end }}
{{- with .Values.init.personalInitArgs }}
- name: PERSONAL_INIT_ARGS
  value: {{ . | quote }}
{{- end }}
{{- if .Values.git.enabled }}
{{- with .Values.git.name }}
- name: GIT_USER_NAME
  value: {{ . | quote }}
{{- end }}
{{- with .Values.git.email }}
- name: GIT_USER_MAIL
  value: {{ . | quote }}
{{- end }}
{{- with .Values.git.repository }}
- name: GIT_REPOSITORY
  value: {{ . | quote }}
{{- end }}
{{- with .Values.git.branch }}
- name: GIT_BRANCH
  value: {{ . | quote }}
{{- end }}
- name: GIT_CREDENTIALS_CACHE_DURATION
  value: {{ .Values.git.cache | int64 | quote }}
{{- end }}
{{- if not .Values.s3.enabled }}
- name: ETABLI_WITHOUT_S3
  value: "true"
{{- end }}
{{- if .Values.vault.enabled }}
{{- with .Values.vault.mount }}
- name: VAULT_MOUNT
  value: {{ . | quote }}
{{- end }}
{{- with .Values.vault.directory }}
- name: VAULT_TOP_DIR
  value: {{ . | quote }}
{{- end }}
{{- with .Values.vault.secret }}
- name: VAULT_RELATIVE_PATH
  value: {{ . | quote }}
{{- end }}
{{- else }}
- name: ETABLI_WITHOUT_VAULT
  value: "true"
{{- end }}
{{- range .Values.extraEnvVars }}
- name: {{ .name | quote }}
  value: {{ .value | toString | quote }}
{{- end }}
{{- end -}}

{{/* Environment variables that are secrets. Keys of another S3 store take the place of the lab's. */}}
{{- define "secrets" -}}
{{- if .Values.git.enabled }}
{{- with .Values.git.token }}
GIT_PERSONAL_ACCESS_TOKEN: {{ . | quote }}
{{- end }}
{{- end }}
{{- if and .Values.s3.enabled .Values.s3.accessKeyId }}
AWS_ACCESS_KEY_ID: {{ .Values.s3.accessKeyId | quote }}
AWS_SECRET_ACCESS_KEY: {{ .Values.s3.secretAccessKey | quote }}
{{- with .Values.s3.sessionToken }}
AWS_SESSION_TOKEN: {{ . | quote }}
{{- end }}
{{- with .Values.s3.endpoint }}
AWS_ENDPOINT_URL_S3: {{ printf "https://%s" . | quote }}
AWS_S3_ENDPOINT: {{ . | quote }}
{{- end }}
{{- with .Values.s3.defaultRegion }}
AWS_DEFAULT_REGION: {{ . | quote }}
AWS_REGION: {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}

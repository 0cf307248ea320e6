#!/bin/sh
# Prepares the home, then becomes the service ("$@").
#
# The order is that of INSEE's images, which the scripts of trainings rely on: the lab's script, the vault, Git, preferences, the
# person's script, the service. What fails is told on standard error and the service starts all the same: a person who sees the
# service can repair what failed. Where nothing is asked, this costs some milliseconds.

WORK=$HOME/work
OWN=${0%/*}

say() { printf 'start: %s\n' "$*" >&2; }

fetch() { # ADDRESS FILE
    if command -v curl >/dev/null 2>&1; then
        curl -fsSL --retry 2 --max-time 120 --output "$2" -- "$1"
    else
        python3 -c 'import shutil, sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=120) as answer, open(sys.argv[2], "wb") as file:
    shutil.copyfileobj(answer, file)' "$1" "$2"
    fi
}

run_script() { # NAME ADDRESS SHA256 ARGUMENTS…
    name=$1 address=$2 expected=$3
    shift 3
    script=$(mktemp) || return
    if ! fetch "$address" "$script"; then
        say "the $name script could not be fetched from ${address%%\?*}"
    elif [ -n "$expected" ] && ! printf '%s  %s\n' "$expected" "$script" | sha256sum --check --status; then
        say "the $name script is not the one that was announced (SHA-256); it was not run"
    elif (cd "$WORK" && bash "$script" "$@"); then
        say "the $name script is done"
    else
        say "the $name script ended with an error; what it wrote is above"
    fi
    rm -f "$script"
}

configure_git() {
    [ -e "$HOME/.gitconfig" ] && return
    [ -n "$GIT_USER_NAME" ] && git config --global user.name "$GIT_USER_NAME"
    [ -n "$GIT_USER_MAIL" ] && git config --global user.email "$GIT_USER_MAIL"
    [ -n "$GIT_CREDENTIALS_CACHE_DURATION" ] &&
        git config --global credential.helper "cache --timeout=$GIT_CREDENTIALS_CACHE_DURATION"
    [ -n "$GIT_PERSONAL_ACCESS_TOKEN" ] && trust_forge
    return 0
}

trust_forge() {
    # The token is read from the environment each time, and only for these hosts: it is in no file, address or command line.
    hosts="github.com gitlab.com"
    if [ -n "$GIT_REPOSITORY" ]; then
        hosts=${GIT_REPOSITORY#*://}
        hosts=${hosts%%/*}
        hosts=${hosts##*@}
    fi
    for host in $hosts; do
        # shellcheck disable=SC2016 # Git's helper expands the variable, not this script.
        git config --global "credential.https://$host.helper" \
            '!f() { test "$1" = get && printf "username=oauth2\npassword=%s\n" "$GIT_PERSONAL_ACCESS_TOKEN"; }; f'
    done
}

clone() {
    folder=${GIT_REPOSITORY%/}
    folder=${folder##*/}
    folder=$WORK/${folder%.git}
    [ -e "$folder" ] && return
    set -- clone --quiet
    [ -n "$GIT_BRANCH" ] && set -- "$@" --branch "$GIT_BRANCH"
    GIT_TERMINAL_PROMPT=0 git "$@" -- "$GIT_REPOSITORY" "$folder" || say "the repository could not be cloned"
}

prefer() { # PLUGIN CONTENT: a preference of JupyterLab, which the person may change afterwards.
    file=$HOME/.jupyter/lab/user-settings/@jupyterlab/$1.jupyterlab-settings
    [ -e "$file" ] && return
    mkdir -p "${file%/*}" && printf '%s\n' "$2" >"$file"
}

[ -d "$WORK" ] || mkdir -p "$WORK"

if [ -n "$ETABLI_WITHOUT_S3" ]; then
    unset AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_CONTAINER_AUTHORIZATION_TOKEN AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE
    unset AWS_ENDPOINT_URL_S3 AWS_ENDPOINT_URL_STS AWS_S3_ENDPOINT ETABLI_BUCKET
elif [ -n "$AWS_ACCESS_KEY_ID" ]; then
    # Keys of another store: the lab's own must not stand beside them.
    unset AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_CONTAINER_AUTHORIZATION_TOKEN AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE
fi
[ -n "$ETABLI_WITHOUT_VAULT" ] && unset VAULT_ADDR VAULT_TOKEN

[ -n "$REGION_INIT_SCRIPT" ] && run_script "lab's" "$REGION_INIT_SCRIPT" "$REGION_INIT_SCRIPT_CHECKSUM"

if [ -n "$VAULT_RELATIVE_PATH" ] && [ -n "$VAULT_TOKEN" ]; then
    if exports=$(python3 "$OWN/vault-env.py"); then eval "$exports"; else say "the vault's secret could not be read"; fi
fi

if [ -n "$GIT_CREDENTIALS_CACHE_DURATION$GIT_REPOSITORY" ] && command -v git >/dev/null 2>&1; then
    configure_git
    [ -n "$GIT_REPOSITORY" ] && clone
fi

[ "$ETABLI_DARK_MODE" = true ] && prefer apputils-extension/themes '{ "theme": "JupyterLab Dark" }'
[ "$ETABLI_LANGUAGE" = fr ] && prefer translation-extension/plugin '{ "locale": "fr_FR" }'

if [ ! -e "$HOME/.start-here" ]; then # Once for each home: whoever deletes the notebook does not want it back.
    [ -e "$WORK/start-here.ipynb" ] || cp "$OWN/start-here.ipynb" "$WORK/start-here.ipynb"
    : >"$HOME/.start-here"
fi

if [ -n "$PERSONAL_INIT_SCRIPT" ]; then
    # shellcheck disable=SC2086 # The arguments are words.
    set -f && run_script personal "$PERSONAL_INIT_SCRIPT" "" $PERSONAL_INIT_ARGS
    set +f
fi

exec "$@"

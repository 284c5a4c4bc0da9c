#!/bin/bash
# `edgekeep` on the machine of a walked page. A verb that runs until it is stopped runs in the background here, and is awaited until it is
# ready, so that the next line of the page finds it. A verb that asks gets a person at a terminal who types what is asked for.
program="$WALK/../../cli/src/main.ts"
node=${WALK_NODE:-node}
# Without /dev/tpmrm0 the TPM is the simulator of `has_tpm`.
case "$1 ${2:-}" in
  'manufacture device' | 'doctor '*) [ -z "${TPM:-}" ] || set -- "$@" --tpm "$TPM" ;;
esac
case " $* " in
  *' --json '*) exec "$node" "$program" "$@" ;;
esac
case "$1 ${2:-}" in
  'hub run' | 'agent run')
    log=$(mktemp "$MACHINE/$1.XXXXXX.log")
    if [ "$1" = hub ]; then set -- "$WALK/person.ts" "$program" "$@"; else set -- "$program" "$@"; fi
    "$node" "$@" > "$log" 2>&1 < /dev/null &
    pid=$!
    echo "$pid" > "${log%.*.log}.pid"
    until grep -qE '^ready: |:8444"|"kind":"attested"' "$log"; do
      kill -0 "$pid" 2> /dev/null || { cat "$log" >&2; exit 1; }
      sleep 0.1
    done
    ;;
  # The answer of these is also in the exit code: 1 says that something waits, ends or is missing.
  'authority pending' | 'certificate expiry' | 'hub check' | 'doctor '*) "$node" "$program" "$@" || [ $? = 1 ] ;;
  'hub '* | 'root '* | 'authority '* | 'secrets '*) exec "$node" "$WALK/person.ts" "$program" "$@" ;;
  *)
    # That a second person has to agree is no failure of the page.
    errors=$(mktemp "$MACHINE/errors.XXXXXX")
    "$node" "$program" "$@" 2> >(tee "$errors" >&2) || { status=$?; grep -q 'approval-required' "$errors" || exit $status; } ;;
esac

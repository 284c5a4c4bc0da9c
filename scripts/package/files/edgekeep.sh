#!/bin/sh
# `edgekeep`, by the Node and the program beside it; it may be started through a link.
self=$(readlink -f -- "$0")
exec "${self%/bin/edgekeep}/bin/node" --disable-sigusr1 "${self%/bin/edgekeep}/cli/src/main.js" "$@"

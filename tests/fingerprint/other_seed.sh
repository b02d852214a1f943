#!/usr/bin/env bash
# For the test of compare.sh: a program ($ORRERY) that gives other results.
exec "$ORRERY" "$@" --seed 8

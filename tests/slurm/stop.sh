#!/usr/bin/env bash
# Ends the cluster that start.sh started: bash tests/slurm/stop.sh <folder>
set -uo pipefail
for file in "$1"/slurmd.pid "$1"/slurmctld.pid "$1"/munge/pid; do
  [ -f "$file" ] && kill "$(cat "$file")"
done
exit 0

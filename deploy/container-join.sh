#!/bin/sh
# Writes the join file of the workers that docker-compose.yml starts beside the coordinator, where there is none yet.
set -eu
[ ! -s /join/workers.join ] || exit 0
OVERWINTER_ADDRESS=coordinator:7600
OVERWINTER_CA=/var/lib/overwinter-coordinator/ca/root.pem
OVERWINTER_TOKEN=$(cat /var/lib/overwinter-coordinator/admin.token)
export OVERWINTER_ADDRESS OVERWINTER_CA OVERWINTER_TOKEN
overwinter tokens create --role worker --uses "${1:-2}" --ttl 1h --for compose -o /join/workers.join

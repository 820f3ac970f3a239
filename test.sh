#!/usr/bin/env bash
# Builds everything, checks the format, runs all tests, and closes with "N passed, N failed, N skipped".
# Arguments go to `dotnet test`, for instance: ./test.sh --filter FullyQualifiedName~Sampler
set -uo pipefail
cd "$(dirname "$0")"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

# The npm client of the gateway's tests needs Node.js.
if ! command -v npm >/dev/null; then
  echo "Node.js and npm are missing; installing them with apt-get." >&2
  (apt-get update -qq && apt-get install -y -qq nodejs npm) >/dev/null || { echo "Install Node.js 18 or later, then run this again." >&2; exit 1; }
fi

dotnet build ProxyTune.sln -c Release -v quiet || exit 1
if [ $# -eq 0 ]; then
  dotnet format ProxyTune.sln --no-restore --verify-no-changes --severity warn || { echo "Run 'dotnet format' and commit." >&2; exit 1; }
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
dotnet test ProxyTune.sln -c Release --no-build -m:1 "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

# Each test project ends with "Passed! - Failed: 0, Passed: 12, Skipped: 1, Total: 13, ...".
awk -F'[:,]' '/Failed: +[0-9]+, Passed: +[0-9]+/ {
  for (i = 1; i < NF; i++) { if ($i ~ /Failed$/) f += $(i+1); if ($i ~ /Passed$/) p += $(i+1); if ($i ~ /Skipped$/) s += $(i+1) }
} END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit p == 0 }' "$log" || status=1
exit "$status"

#!/usr/bin/env bash
# Everything a machine with a GPU should say in one command, the most important first, within LIMIT_S seconds (560).
# Reports go to OUT. RECORDINGS names the folder above market/; without it the replay is left out. COMMIT: of this
# checkout, where git cannot tell. The status is 1 when a part failed; every part runs whatever became of those before.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

out=${OUT:?names the folder for the reports}
python=${PYTHON:-python3}
limit=${LIMIT_S:-560}
export PYTHONUNBUFFERED=1
mkdir -p "$out"
failed=()

# part NAME MOST COMMAND...: runs it for MOST seconds, or for what is left.
part() {
    local name=$1 most=$2 begun=$SECONDS left=$((limit - SECONDS)) status=0
    shift 2
    if ((left < 15)); then
        echo "== $name: left out, $left s left"
        failed+=("$name")
        return
    fi
    ((left < most)) && most=$left
    timeout "$most" "$@" >"$out/$name.txt" 2>&1 || status=$?
    echo "== $name: status $status, $((SECONDS - begun)) s"
    tail -n "${LINES_SHOWN:-12}" "$out/$name.txt"
    ((status == 0)) || failed+=("$name")
}

commit=()
[[ -n ${COMMIT:-} ]] && commit=(--commit "$COMMIT")

if "$python" -c 'import grpc_health, rich' 2>/dev/null; then  # what the server's command line imports
    LINES_SHOWN=20 part doctor 40 env PYTHONPATH=server "$python" -m liqscape doctor
fi
part every_kernel 60 "$python" benchmarks/gpu/every_kernel.py
LINES_SHOWN=150 part first_run 330 "$python" benchmarks/gpu/first_run.py --out "$out" --minutes "${MINUTES:-4.5}" "${commit[@]}"
if [[ -n ${RECORDINGS:-} ]]; then
    part equal_payloads 110 "$python" benchmarks/gpu/equal_payloads.py --recordings "$RECORDINGS"
fi
part sanitizers 160 env OUT="$out" LIMIT_S=45 PYTHON="$python" benchmarks/gpu/sanitize.sh

if ((${#failed[@]})); then
    echo "failed: ${failed[*]}"
    exit 1
fi
echo "everything passed in $SECONDS s"

#!/usr/bin/env bash
# Everything a machine with a GPU should say in one command, the most important first, within LIMIT_S seconds (560).
# OUT gets what first_run.py keeps, and reports.txt with all that was printed. RECORDINGS names the folder above market/;
# without it the replay is left out. COMMIT: of this checkout, where git cannot tell. The status is 1 when a part failed;
# every part runs whatever became of those before.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

out=${OUT:?names the folder for the reports}
python=${PYTHON:-python3}
limit=${LIMIT_S:-560}
logs=$(mktemp -d)
export PYTHONUNBUFFERED=1
mkdir -p "$out"
: >"$out/reports.txt"
failed=()

# part NAME SECONDS LINES COMMAND...: runs it for so long at most, or for what is left, and shows its last lines.
part() {
    local name=$1 most=$2 lines=$3 begun=$SECONDS left=$((limit - SECONDS)) status=0
    shift 3
    if ((left < 15)); then
        echo "== $name: left out, $left s left" | tee -a "$out/reports.txt"
        failed+=("$name")
        return
    fi
    ((left < most)) && most=$left
    timeout "$most" "$@" >"$logs/$name.txt" 2>&1 || status=$?
    echo "== $name: status $status, $((SECONDS - begun)) s" | tee -a "$out/reports.txt"
    tail -n "$lines" "$logs/$name.txt"
    cat "$logs/$name.txt" >>"$out/reports.txt"
    ((status == 0)) || failed+=("$name")
}

if "$python" -c 'import grpc_health, rich' 2>/dev/null; then # what the server's command line imports
    part doctor 40 20 env PYTHONPATH=server "$python" -m liqscape doctor
fi
part every_kernel 60 12 "$python" benchmarks/gpu/every_kernel.py
part first_run 330 150 "$python" benchmarks/gpu/first_run.py --out "$out" --minutes "${MINUTES:-4.5}" \
    ${COMMIT:+--commit "$COMMIT"}
if [[ -n ${RECORDINGS:-} ]]; then
    part equal_payloads 110 6 "$python" benchmarks/gpu/equal_payloads.py --recordings "$RECORDINGS"
fi
part sanitizers 170 20 env OUT="$logs" LIMIT_S=45 PYTHON="$python" bash benchmarks/gpu/sanitize.sh
for report in "$logs"/sanitizer_*.txt; do
    [[ -e $report ]] && { echo "== $(basename "$report" .txt)" && head -c 200000 "$report"; } >>"$out/reports.txt"
done
rm -r "$logs"

if ((${#failed[@]})); then
    echo "failed: ${failed[*]}"
    exit 1
fi
echo "everything passed in $SECONDS s"

#!/usr/bin/env bash
# Everything a machine with a GPU should say in one command, the most important first, within LIMIT_S seconds (560).
# OUT gets what first_run.py keeps, and reports.txt with all that is printed, as it is printed. RECORDINGS names the
# folder above market/; without it the replay is left out. COMMIT: of this checkout, where git cannot tell. PYTHON: which
# one. TOOLS: which of compute-sanitizer, none if empty. Paths are taken from the root of the checkout. The status is 1
# when a part failed; every part runs whatever became of those before, but for a kernel that is wrong: that ends it.
# REHEARSE=1: the same on the CPU in place of a GPU, in a minute.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

out=${OUT:?names the folder for the reports}
python=${PYTHON:-python3}
limit=${LIMIT_S:-560}
most_bytes=8000000 # of the reports
reports=$out/reports.txt
rehearse=()
[[ -z ${REHEARSE:-} ]] || rehearse=(--rehearse)
export PYTHONUNBUFFERED=1
mkdir -p "$out" || exit
: >"$reports"
failed=()

say() { echo "$*" | tee -a "$reports"; }

# part NAME SECONDS LINES COMMAND...: runs it for so long at most, or for what is left, and shows its last lines. The
# command knows its time as PART_S. What is left of it is killed ten seconds after its time is over.
part() {
    local name=$1 most=$2 lines=$3 begun=$SECONDS left=$((limit - SECONDS)) status=0 from
    shift 3
    if ((left < 15)); then
        say "== $name: left out, $left s left"
        failed+=("$name")
        return
    fi
    ((left < most)) && most=$left
    say "== $name"
    from=$(wc -c <"$reports")
    PART_S=$most timeout --kill-after=10 "$most" "$@" >>"$reports" 2>&1 </dev/null || status=$?
    tail -c "+$((from + 1))" "$reports" | tail -n "$lines"
    say "== $name: status $status, $((SECONDS - begun)) s"
    ((status == 0)) || failed+=("$name")
}

say "commit ${COMMIT:-unknown}, $("$python" -c 'import sys; print("Python", sys.version.split()[0], sys.executable)')"
packages=server${PYTHONPATH:+:$PYTHONPATH}
if "$python" -c 'import grpc_health.v1.health, rich' 2>/dev/null; then # what the server's command line imports
    part doctor 40 20 env PYTHONPATH="$packages" "$python" -m liqscape doctor
else
    say "== doctor: left out, there is no grpcio-health-checking or no rich"
    part probe 40 20 env PYTHONPATH="$packages" "$python" -c \
        'from liqscape.device.probe import *; print(find_software()); p = probe(); print(p); exit(p.is_broken)'
fi
part every_kernel 60 12 "$python" benchmarks/gpu/every_kernel.py "${rehearse[@]}"
if [[ " ${failed[*]} " == *" every_kernel "* ]]; then
    # Nothing that follows would say more, and the time of the machine is better spent once this is mended.
    part memcheck 50 40 env TOOLS=memcheck PYTHON="$python" REPORTS=- bash benchmarks/gpu/sanitize.sh "${rehearse[@]}"
    say "stopped after $SECONDS s: a kernel is wrong"
    exit 1
fi
part first_run 330 150 "$python" benchmarks/gpu/first_run.py --out "$out" --minutes "${MINUTES:-4.5}" \
    ${COMMIT:+--commit "$COMMIT"} "${rehearse[@]}"
if [[ -n ${RECORDINGS:-} ]]; then
    part equal_payloads 110 6 "$python" benchmarks/gpu/equal_payloads.py --recordings "$RECORDINGS" --seconds 85 \
        ${REHEARSE:+--rehearse --days 0.3 --every 30 --symbols BTC}
else
    say "== equal_payloads: left out, RECORDINGS names no folder"
fi
for tool in ${TOOLS-memcheck racecheck initcheck synccheck}; do
    part "$tool" 50 15 env TOOLS="$tool" PYTHON="$python" REPORTS=- bash benchmarks/gpu/sanitize.sh "${rehearse[@]}"
done

if (($(wc -c <"$reports") > most_bytes)); then
    head -c "$most_bytes" "$reports" >"$reports.new" && mv "$reports.new" "$reports"
    say "== these reports were cut off at $most_bytes bytes"
fi
if ((${#failed[@]})); then
    say "failed after $SECONDS s: ${failed[*]}"
    exit 1
fi
say "everything passed in $SECONDS s"

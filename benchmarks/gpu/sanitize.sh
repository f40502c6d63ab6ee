#!/usr/bin/env bash
# Every kernel once under each tool of compute-sanitizer: accesses, races, uninitialised memory, barriers. The status is
# 1 when a tool finds something, or a result is not NumPy's; 2 without compute-sanitizer. OUT=DIR keeps the tools'
# reports, REPORTS=- prints them; TOOLS="memcheck" narrows; LIMIT_S is of each tool. Arguments go to every_kernel.py.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

python=${PYTHON:-python3}
# The interpreter itself: what a shim in its place starts would be another process, which is not looked at.
python=$("$python" -c 'import sys; print(sys.executable)') || exit
out=${OUT:-$(mktemp -d)}
# Of whoever starts this with a time of its own, so much that the tool's end comes first.
limit=${LIMIT_S:-$((${PART_S:-125} - 5))}
mkdir -p "$out" || exit

# Where it may be beside PATH, the likeliest first.
sanitizer=$(command -v compute-sanitizer || true)
for place in "${CUDA_HOME:-/usr/local/cuda}"/{bin,compute-sanitizer} /usr/local/cuda*/{bin,compute-sanitizer} \
    /opt/cuda*/bin /opt/nvidia/{,*/}{,*/}{,bin,compute-sanitizer} /usr/lib/nvidia-cuda-toolkit/bin; do
    [[ -n $sanitizer || ! -x $place/compute-sanitizer || -d $place/compute-sanitizer ]] || sanitizer=$place/compute-sanitizer
done
if [[ -z $sanitizer ]]; then
    echo "no compute-sanitizer, neither in PATH nor in /usr/local/cuda*, /opt: it comes with a CUDA toolkit" >&2
    exit 2
fi
echo "$sanitizer: $("$sanitizer" --version 2>&1 | grep -iom1 'version.*')"

# look TOOL ARGUMENTS...: every kernel under it.
look() {
    local tool=$1 print=(--error-exitcode 9 --print-limit 20)
    shift
    [[ $tool != initcheck ]] || print=(--print-limit 100000)
    timeout --kill-after=5 "$limit" "$sanitizer" --tool "$tool" --target-processes application-only \
        "${print[@]}" "$python" benchmarks/gpu/every_kernel.py "$@" 2>&1 |
        if [[ $tool == initcheck ]]; then judge; else cat; fi
}

# judge: the report of initcheck without what is meant. Results are copied to the host ahead of their number
# (device/scratch.py), and project_columns loads four events at a time, up to three past the last one (device/queue.py has
# room for them): neither is used. The status is of what other kernels have read, and of the results.
judge() {
    awk '
        /^========= (Host API|Invalid|Uninitialized __)/ { is_meant = /Host API/; copies += is_meant; held = "" }
        /^=========     at project_columns\+/ { ahead++; is_meant = 1; held = "" }
        /^=========     at / && !/ project_columns\+/ { found++ }
        /equal to NumPy/ { equal = 1 }
        /ERROR SUMMARY/ { next }
        /^========= *$/ { if (!is_meant && found <= 20) printf "%s", held; held = ""; is_meant = 0; next }
        /^=========/ { held = held $0 "\n"; next }
        { print }
        END {
            printf "read though nobody wrote it: by copies to the host %d times, past the last event %d, else %d\n",
                copies, ahead, found
            exit !(equal && !found)
        }'
}

failed=()
for tool in ${TOOLS:-memcheck racecheck initcheck synccheck}; do
    started=$SECONDS report=$out/sanitizer_$tool.txt status=0
    if [[ ${REPORTS:-} == - ]]; then
        look "$tool" "$@" || status=$?
    else
        look "$tool" "$@" >"$report" || status=$?
        ((status == 0)) || grep -m 12 -E '=========|kernel|equal|differs' "$report" || tail -n 5 "$report"
    fi
    case $status in
        0) said=clean ;;
        124 | 137) said="not through after $limit s, which says nothing of the kernels" ;;
        *) said="status $status" ;;
    esac
    echo "$tool: $said, $((SECONDS - started)) s"
    ((status == 0)) || failed+=("$tool")
done
((${#failed[@]} == 0))

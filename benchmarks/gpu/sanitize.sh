#!/usr/bin/env bash
# Every kernel once under each tool of compute-sanitizer: accesses, races, uninitialised memory, barriers. The status is
# 1 when a tool finds something, or a result is not NumPy's. OUT=DIR keeps the tools' reports; TOOLS="memcheck" narrows.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

python=${PYTHON:-python3}
out=${OUT:-$(mktemp -d)}
limit=${LIMIT_S:-120}
mkdir -p "$out"

if ! sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null); then
    echo "no compute-sanitizer: it comes with a CUDA toolkit" >&2
    exit 2
fi

failed=()
for tool in ${TOOLS:-memcheck racecheck initcheck synccheck}; do
    started=$SECONDS report=$out/sanitizer_$tool.txt
    if timeout "$limit" "$sanitizer" --tool "$tool" --error-exitcode 9 --print-limit 20 \
        "$python" benchmarks/gpu/every_kernel.py >"$report" 2>&1; then
        echo "$tool: clean, $((SECONDS - started)) s"
    else
        echo "$tool: status $?, $((SECONDS - started)) s"
        grep -m 12 -E '=========|kernel|equal|differs' "$report" || tail -n 5 "$report"
        failed+=("$tool")
    fi
done
((${#failed[@]} == 0))

// What the hardware itself does: copies, and additions of the kinds that make grids. Only measured, never shipped.

// Sixteen bytes a thread, as the device copies best. items: of 16 bytes.
struct alignas(16) Sixteen {
    u64 a, b;
};

extern "C" __global__ void __launch_bounds__(256) probe_copy(
    const Sixteen* __restrict__ from, Sixteen* __restrict__ to, u64 items) {
    for (u64 at = (u64)blockIdx.x * blockDim.x + threadIdx.x; at < items; at += (u64)gridDim.x * blockDim.x) {
        to[at] = from[at];
    }
}

// Reads everything and writes next to nothing: what a projection of many events does.
extern "C" __global__ void __launch_bounds__(256) probe_read(
    const Sixteen* __restrict__ from, u64* sums, u64 items) {
    u64 sum = 0;
    for (u64 at = (u64)blockIdx.x * blockDim.x + threadIdx.x; at < items; at += (u64)gridDim.x * blockDim.x) {
        const Sixteen read = from[at];
        sum += read.a ^ read.b;
    }
    atomicAdd(&sums[threadIdx.x], sum);
}

extern "C" __global__ void __launch_bounds__(256) probe_nothing(u32* never) {
    if (never != nullptr) *never = 1;
}

// A number that looks random; cheap enough not to be what is measured.
__device__ u32 probe_hash(u32 value) {
    value *= 0x9e3779b1u;
    value ^= value >> 15;
    value *= 0x85ebca77u;
    return value ^ value >> 13;
}

// Adds to a cell chosen by a hash, so many times a thread: native 64-bit additions in the second-level cache.
extern "C" __global__ void __launch_bounds__(256) probe_global_adds(
    u64* cells, u32 count, u32 additions, u32 value) {
    const u32 thread = blockIdx.x * blockDim.x + threadIdx.x;
    for (u32 k = 0; k < additions; k++) {
        const u32 chosen = probe_hash(thread * additions + k);
        atomicAdd(&cells[(u64)chosen * count >> 32], (u64)value);
    }
}

constexpr u32 PROBE_ROWS = 1024;

// Which row a thread adds to. same: the lanes of a warp add to one row, as they do in a run that is sorted by row.
__device__ u32 probe_row(u32 thread, u32 addition, u32 same) {
    return probe_hash((same != 0 ? thread / WARP : thread) * 0x3c6ef372u + addition) % PROBE_ROWS;
}

// Additions to 1024 rows in shared memory, of three kinds; each block then adds its rows to sums, which shows that none
// was lost. value: known to the host alone, because the compiler has a quicker way to add a number that it knows.
extern "C" __global__ void __launch_bounds__(256) probe_halves(u64* sums, u32 additions, u32 same, u32 value) {
    __shared__ u32 low[PROBE_ROWS];
    __shared__ u32 high[PROBE_ROWS];
    const u32 thread = blockIdx.x * blockDim.x + threadIdx.x;
    for (u32 row = threadIdx.x; row < PROBE_ROWS; row += blockDim.x) low[row] = high[row] = 0;
    __syncthreads();
    for (u32 k = 0; k < additions; k++) {
        const u32 at = probe_row(thread, k, same);
        const u32 before = atomicAdd(&low[at], value);
        const u32 high_word = (u32)(before + value < value);
        if (high_word != 0) atomicAdd(&high[at], high_word);
    }
    __syncthreads();
    for (u32 row = threadIdx.x; row < PROBE_ROWS; row += blockDim.x) {
        const u64 sum = ((u64)high[row] << 32) + low[row];
        if (sum != 0) atomicAdd(&sums[row], sum);
    }
}

// The same as a 64-bit atomicAdd, which the compiler makes a loop of compare-and-swap.
extern "C" __global__ void __launch_bounds__(256) probe_wide(u64* sums, u32 additions, u32 same, u32 value) {
    __shared__ u64 total[PROBE_ROWS];
    const u32 thread = blockIdx.x * blockDim.x + threadIdx.x;
    for (u32 row = threadIdx.x; row < PROBE_ROWS; row += blockDim.x) total[row] = 0;
    __syncthreads();
    for (u32 k = 0; k < additions; k++) atomicAdd(&total[probe_row(thread, k, same)], (u64)value);
    __syncthreads();
    for (u32 row = threadIdx.x; row < PROBE_ROWS; row += blockDim.x) {
        if (total[row] != 0) atomicAdd(&sums[row], total[row]);
    }
}

// The same in 32 bits, which are too few for a grid: what it costs to have none of the trouble.
extern "C" __global__ void __launch_bounds__(256) probe_narrow(u64* sums, u32 additions, u32 same, u32 value) {
    __shared__ u32 total[PROBE_ROWS];
    const u32 thread = blockIdx.x * blockDim.x + threadIdx.x;
    for (u32 row = threadIdx.x; row < PROBE_ROWS; row += blockDim.x) total[row] = 0;
    __syncthreads();
    for (u32 k = 0; k < additions; k++) atomicAdd(&total[probe_row(thread, k, same)], value);
    __syncthreads();
    for (u32 row = threadIdx.x; row < PROBE_ROWS; row += blockDim.x) {
        if (total[row] != 0) atomicAdd(&sums[row], (u64)total[row]);
    }
}

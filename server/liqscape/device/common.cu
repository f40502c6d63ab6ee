// What every file of kernels begins with: NVRTC is given one text, without includes.
//
// Launches are one-dimensional, blocks are of whole warps, warp functions are the *_sync forms. Sums are of integers
// modulo 2^64 and lists are placed by prefix sums, so nothing depends on the order of threads.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int i32;
typedef unsigned long long u64;
typedef long long i64;

constexpr u32 WARP = 32;
constexpr u32 ALL_LANES = 0xffffffffu;

// Sum of what the lanes up to this one have.
template <class T>
__device__ T sum_up_to_here(T value, u32 lane) {
    for (u32 distance = 1; distance < WARP; distance *= 2) {
        const T lower = __shfl_up_sync(ALL_LANES, value, distance);
        if (lane >= distance) value += lower;
    }
    return value;
}

// Sum of what the threads of the block before this one have; adds what all of them have to total. warp_sums: a place in
// shared memory for each warp, free again when this returns. Every thread of the block calls it.
__device__ u32 sum_before_here(u32 value, u32* warp_sums, u32& total) {
    const u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const u32 up_to_here = sum_up_to_here(value, lane);
    if (lane == WARP - 1) warp_sums[warp] = up_to_here;
    __syncthreads();
    u32 before = up_to_here - value;
    for (u32 other = 0; other < blockDim.x / WARP; other++) {
        const u32 in_other = warp_sums[other];
        if (other < warp) before += in_other;
        total += in_other;
    }
    __syncthreads();
    return before;
}

// Floor of row / multiple, for negative rows too: floor(-n / m) = -1 - floor((n - 1) / m). magic and shift are such that
// floor(n / multiple) = n x magic >> shift for 0 <= n < 2^31.
__device__ i32 coarse_row(i32 row, u32 magic, u32 shift) {
    const i32 sign = row >> 31;
    return (i32)((u64)(u32)(row ^ sign) * magic >> shift) ^ sign;
}

// Places in the columns of some spans are marked by bits, a word for each 32; a tile is what the lanes of one warp hold.
constexpr u32 WORDS_OF_TILE = WARP;  // at most, as the lanes of a warp hold the bits of a tile
constexpr u32 TILE_PLACES = WORDS_OF_TILE * WARP;

// What one table has in an array of all tables: its cohorts in the columns, or its new ones in a batch.
struct Span {
    u32 first;
    u32 count;
    u32 first_tile;  // number of its first tile, of TILE_PLACES, among those of all tables
};


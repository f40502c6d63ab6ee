// The lots of one live table by key and row, where there are any.
//
// Cells are numbered key after key and, within a key, from the lowest row up: key x rows + (row - low). A launch does
// some of them, from first_cell on, and numbers these from 0. numpy_live.py has the definition.

// What a unit of an instrument is in lots, at the middle price of a row.
struct Rate {
    i64 numerator;
    i64 denominator;  // 0: one lot
};

// A cell that is not empty.
struct alignas(16) ProfileEntry {
    i64 lots;
    i32 row;
    u32 key;
};

__device__ i64 floor_of_ratio(i64 numerator, i64 denominator) {
    const i64 quotient = numerator / denominator;
    const bool is_inexact = quotient * denominator != numerator;
    return quotient - (is_inexact && (numerator < 0) != (denominator < 0));
}

// floor(quantity x numerator / ((2 row + 1) x denominator)); quantity x numerator may pass 2^63, the parts do not.
__device__ i64 in_lots(i64 quantity, i32 row, Rate rate) {
    if (rate.denominator == 0) return quantity;
    const i64 divisor = (2 * (i64)row + 1) * rate.denominator;
    const i64 whole = floor_of_ratio(quantity, divisor);
    const i64 rest = quantity - whole * divisor;
    return whole * rate.numerator + floor_of_ratio(rest * rate.numerator, divisor);
}

// Lowers range[0] to the lowest row of the live cohorts among places of the columns, and raises range[1] to the highest.
// TILE_PLACES places a block.
extern "C" __global__ void __launch_bounds__(256) find_row_range(
    u32 first, u32 count, const i32* __restrict__ row, const i64* __restrict__ lots, i32* range) {
    i32 lowest = 0x7fffffff, highest = -lowest - 1;
    for (u32 at = threadIdx.x; at < TILE_PLACES; at += blockDim.x) {
        const u32 place = blockIdx.x * TILE_PLACES + at;
        if (place >= count) break;
        if (lots[first + place] == 0) continue;
        lowest = min(lowest, row[first + place]);
        highest = max(highest, row[first + place]);
    }
    const u32 lane = threadIdx.x % WARP;
    for (u32 distance = 1; distance < WARP; distance *= 2) {  // a lane that has none below it sees itself
        lowest = min(lowest, __shfl_up_sync(ALL_LANES, lowest, distance));
        highest = max(highest, __shfl_up_sync(ALL_LANES, highest, distance));
    }
    if (lane == WARP - 1 && lowest <= highest) {
        atomicMin(&range[0], lowest);
        atomicMax(&range[1], highest);
    }
}

// Adds the lots of the cohorts at places of the columns to their cells. sums: [cells], zeros before. rates:
// [instrument]. TILE_PLACES places a block.
extern "C" __global__ void __launch_bounds__(256) sum_profile(
    u32 first, u32 count, const i32* __restrict__ row, const u16* __restrict__ key, const i64* __restrict__ lots,
    const Rate* __restrict__ rates, i32 low, i64 rows, i64 first_cell, u32 cells, u64* sums) {
    for (u32 at = threadIdx.x; at < TILE_PLACES; at += blockDim.x) {
        const u32 place = blockIdx.x * TILE_PLACES + at;
        if (place >= count) break;
        const i64 held = lots[first + place];
        if (held == 0) continue;
        const i32 own_row = row[first + place];
        const u32 own_key = key[first + place];
        // As an unsigned number a cell before the first one is huge, so one comparison tests both ends.
        const u64 cell = (u64)(own_key * rows + ((i64)own_row - low) - first_cell);
        if (cell >= cells) continue;
        const i64 value = in_lots(held, own_row, rates[own_key >> 5]);
        if (value != 0) atomicAdd(&sums[cell], (u64)value);
    }
}

// Marks the cells that are not empty. One block a tile.
extern "C" __global__ void __launch_bounds__(256) mark_filled(
    u32 cells, const i64* __restrict__ sums, u32* __restrict__ marked) {
    for (u32 at = threadIdx.x; at < TILE_PLACES; at += blockDim.x) {
        const u32 cell = blockIdx.x * TILE_PLACES + at;
        const u32 word = __ballot_sync(ALL_LANES, cell < cells && sums[cell] != 0);
        if (at % WARP == 0) marked[blockIdx.x * WORDS_OF_TILE + at / WARP] = word;
    }
}

// Writes the marked cells, ascending; none where they are more than out has room for. total: how many, as offset_tiles
// writes it. One block a tile.
extern "C" __global__ void __launch_bounds__(256) write_profile(
    const i64* __restrict__ sums, const u32* __restrict__ marked, const u32* __restrict__ offsets,
    const u32* __restrict__ total, u32 room, i32 low, i64 rows, i64 first_cell, ProfileEntry* __restrict__ out) {
    const u32 lane = threadIdx.x % WARP, tile = blockIdx.x;
    const u32 own_word = lane < WORDS_OF_TILE ? marked[(i64)tile * WORDS_OF_TILE + lane] : 0;
    if (__ballot_sync(ALL_LANES, own_word != 0) == 0) return;
    if (*total > room) return;
    const u32 before_word = sum_up_to_here((u32)__popc(own_word), lane) - __popc(own_word);
    const u32 first = offsets[tile];
    for (u32 word = threadIdx.x / WARP; word < WORDS_OF_TILE; word += blockDim.x / WARP) {
        const u32 bits = __shfl_sync(ALL_LANES, own_word, word);
        const u32 before = __shfl_sync(ALL_LANES, before_word, word);
        if (!(bits >> lane & 1)) continue;
        const u32 at = tile * TILE_PLACES + word * WARP + lane;
        const i64 cell = first_cell + at;
        const i64 key = cell / rows;
        out[first + before + __popc(bits & ((1u << lane) - 1))] = {sums[at], (i32)(cell - key * rows + low), (u32)key};
    }
}

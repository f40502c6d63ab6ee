// Grids on the GPU: signed events -> delta grid -> grid -> levels -> the cells whose level changed.
//
// Every stage is one launch over a table of jobs, for all symbols, timeframes and weight tables together. The definition
// of each result is numpy_grid.py; --fmad=false, because levels are of a float64 that NumPy rounds twice.

constexpr u32 MAX_ROWS = 1024;
constexpr u32 WORDS_OF_COLUMN = MAX_ROWS / WARP;  // a bit for each row of a column
constexpr u32 TILE_COLUMNS = 32;
constexpr u32 EVENTS_IN_FLIGHT = 4;  // loads of so many events are under way in each thread before the first is used
constexpr u32 CELLS_IN_FLIGHT = 4;
constexpr i32 NEVER = -2147483647 - 1;

// One grid and its ring of levels, both of columns x rows.
struct Channel {
    i64 first_cell;       // of the channel, in the buffer of all grids and in that of all rings
    u32 columns, rows;    // rows: at most MAX_ROWS
    i32 first_row;        // of the grid, in rows of `multiple` base rows
    u32 row_magic;        // floor(n / multiple) = n x row_magic >> row_shift for 0 <= n < 2^31
    u32 row_shift;
    i32 first_minute;     // of the window: what was opened before it does not count
    u32 first_weight;     // of the channel's weight table, uint16[key]
    u32 first_factor;     // of its USD per weighted lot, float64[row]
    u32 oldest_position;  // of the oldest column in the ring: its absolute number modulo columns
    u32 first_column;     // number of the channel's first ring column among those of all channels
    u32 first_tile;       // number of its first tile among those of all channels
    u32 padding;
};

// Columns of events, in time order; the event's own minute is not needed, its job knows the column.
struct EventRun {
    const i32* row;  // base row
    const i32* open_minute;
    const u16* key;
    const i64* lots;
};

// Events of one run that count in one column of one channel.
struct ProjectJob {
    u32 channel, column;  // column: of the window, 0 is the oldest
    u32 run, first_event, events;
};

// TILE_COLUMNS columns (fewer at the end) x one block of rows of one channel.
struct ScanJob {
    u32 channel, first_column, first_row;
};

// ---- events -> delta grid --------------------------------------------------------------------------------

// Adds to the 64-bit number of which two arrays hold the halves. A 64-bit atomicAdd in shared memory is a loop of
// compare-and-swap on every GPU so far; two of 32 bits are native. Exactly one of the additions that wrap the low word
// sees it wrap, so the carries add up whatever the order.
__device__ void add_to_halves(u32* low, u32* high, u32 at, u64 value) {
    const u32 low_word = (u32)value;
    const u32 before = atomicAdd(&low[at], low_word);
    const u32 high_word = (u32)(value >> 32) + ((u32)(before + low_word) < low_word);
    if (high_word != 0) atomicAdd(&high[at], high_word);
}

// Adds lots x weight of every job's events to its column. cells: zeros before the first job.
extern "C" __global__ void __launch_bounds__(256) project_columns(
    const ProjectJob* __restrict__ jobs, const Channel* __restrict__ channels, const EventRun* __restrict__ runs,
    const u16* __restrict__ weights, u64* cells) {
    __shared__ u32 low[MAX_ROWS];
    __shared__ u32 high[MAX_ROWS];
    const ProjectJob job = jobs[blockIdx.x];
    const Channel channel = channels[job.channel];
    const EventRun run = runs[job.run];
    for (u32 row = threadIdx.x; row < channel.rows; row += blockDim.x) low[row] = high[row] = 0;
    __syncthreads();

    for (u32 begin = threadIdx.x; begin < job.events; begin += EVENTS_IN_FLIGHT * blockDim.x) {
        i32 row[EVENTS_IN_FLIGHT], open_minute[EVENTS_IN_FLIGHT];
        u32 key[EVENTS_IN_FLIGHT];
        i64 lots[EVENTS_IN_FLIGHT];
#pragma unroll
        for (u32 k = 0; k < EVENTS_IN_FLIGHT; k++) {
            const u32 event = begin + k * blockDim.x;
            open_minute[k] = NEVER;
            if (event < job.events) {
                // Of a pointer that was itself read the compiler does not know that it is to global memory.
                open_minute[k] = __ldg(&run.open_minute[job.first_event + event]);
                row[k] = __ldg(&run.row[job.first_event + event]);
                key[k] = __ldg(&run.key[job.first_event + event]);
                lots[k] = __ldg(&run.lots[job.first_event + event]);
            }
        }
#pragma unroll
        for (u32 k = 0; k < EVENTS_IN_FLIGHT; k++) {
            if (open_minute[k] < channel.first_minute) continue;
            // As an unsigned number a row below the range is huge, so one comparison tests both ends.
            const u32 at = (u32)coarse_row(row[k], channel.row_magic, channel.row_shift) - (u32)channel.first_row;
            if (at >= channel.rows) continue;
            const u64 value = (u64)lots[k] * weights[channel.first_weight + key[k]];
            if (value != 0) add_to_halves(low, high, at, value);
        }
    }
    __syncthreads();

    u64* column = cells + channel.first_cell + (i64)job.column * channel.rows;
    for (u32 row = threadIdx.x; row < channel.rows; row += blockDim.x) {
        const u64 sum = ((u64)high[row] << 32) + low[row];
        if (sum != 0) atomicAdd(&column[row], sum);
    }
}

// ---- delta grid -> grid -> levels ------------------------------------------------------------------------

// Writes the sum of each row over the columns of its tile. tile_sums: [tile of all channels, MAX_ROWS].
extern "C" __global__ void __launch_bounds__(256) sum_tiles(
    const ScanJob* __restrict__ jobs, const Channel* __restrict__ channels, const i64* __restrict__ cells,
    i64* __restrict__ tile_sums) {
    const ScanJob job = jobs[blockIdx.x];
    const Channel channel = channels[job.channel];
    const u32 row = job.first_row + threadIdx.x;
    if (row >= channel.rows) return;
    const u32 end = min(job.first_column + TILE_COLUMNS, channel.columns);
    const i64* cell = cells + channel.first_cell + row;
    u64 sum = 0;
#pragma unroll 8
    for (u32 column = job.first_column; column < end; column++) sum += (u64)cell[(i64)column * channel.rows];
    tile_sums[(i64)(channel.first_tile + job.first_column / TILE_COLUMNS) * MAX_ROWS + row] = (i64)sum;
}

// With x = trunc(USD) >> 6: x below 8, else the place of its leading bit and the three bits after it. From 512 USD on a
// float64 has both ready under its sign: eight levels an octave are its bits 49 and up.
__device__ u32 level_of(i64 weighted_lots, double usd_per_weighted_lot) {
    const double usd = (double)weighted_lots * usd_per_weighted_lot;
    if (usd < 64.0) return 0;
    if (usd < 512.0) return (u32)usd >> 6;
    if (usd >= 1099511627776.0) return 255;
    return ((u32)__double2hiint(usd) >> 17) - ((1023 + 8) << 3);
}

// Replaces deltas by their prefix sums along the columns, and the ring's levels by those of the sums; sets a bit for
// each level that changed. changed: [ring column of all channels, WORDS_OF_COLUMN].
extern "C" __global__ void __launch_bounds__(256) scan_levels(
    const ScanJob* __restrict__ jobs, const Channel* __restrict__ channels, const i64* __restrict__ tile_sums,
    const double* __restrict__ factors, i64* cells, u8* rings, u32* __restrict__ changed) {
    const ScanJob job = jobs[blockIdx.x];
    const Channel channel = channels[job.channel];
    const u32 row = job.first_row + threadIdx.x;
    const bool inside = row < channel.rows;
    const u32 end = min(job.first_column + TILE_COLUMNS, channel.columns);
    const double factor = inside ? factors[channel.first_factor + row] : 0.0;
    u64 sum = 0;
    if (inside) {
        const i64* before = tile_sums + (i64)channel.first_tile * MAX_ROWS + row;
#pragma unroll 8
        for (u32 tile = 0; tile < job.first_column / TILE_COLUMNS; tile++) sum += (u64)before[(i64)tile * MAX_ROWS];
    }
    i64* cell = cells + channel.first_cell + row;
    u8* ring = rings + channel.first_cell + row;

    for (u32 begin = job.first_column; begin < end; begin += CELLS_IN_FLIGHT) {
        i64 delta[CELLS_IN_FLIGHT];
        u32 sent[CELLS_IN_FLIGHT];
#pragma unroll
        for (u32 k = 0; k < CELLS_IN_FLIGHT; k++) {
            if (!inside || begin + k >= end) continue;
            const u32 past_oldest = channel.oldest_position + begin + k;
            const u32 position = past_oldest < channel.columns ? past_oldest : past_oldest - channel.columns;
            delta[k] = cell[(i64)(begin + k) * channel.rows];
            sent[k] = ring[(i64)position * channel.rows];
        }
#pragma unroll
        for (u32 k = 0; k < CELLS_IN_FLIGHT; k++) {
            if (begin + k >= end) break;
            const u32 past_oldest = channel.oldest_position + begin + k;
            const u32 position = past_oldest < channel.columns ? past_oldest : past_oldest - channel.columns;
            bool differs = false;
            if (inside) {
                sum += (u64)delta[k];
                cell[(i64)(begin + k) * channel.rows] = (i64)sum;
                const u32 level = level_of((i64)sum, factor);
                differs = level != sent[k];
                if (differs) ring[(i64)position * channel.rows] = (u8)level;
            }
            const u32 word = __ballot_sync(ALL_LANES, differs);
            if (inside && row % WARP == 0) {
                changed[(i64)(channel.first_column + position) * WORDS_OF_COLUMN + row / WARP] = word;
            }
        }
    }
}

// ---- changed cells, in ascending order of their ring index -----------------------------------------------

// Writes, for each ring column, how many changed cells of its channel come before it, and for each channel how many
// there are. One block a channel; column_offsets: [ring column of all channels], totals: [channel].
extern "C" __global__ void __launch_bounds__(1024) offset_columns(
    const Channel* __restrict__ channels, const u32* __restrict__ changed, u32* __restrict__ column_offsets,
    u32* __restrict__ totals) {
    __shared__ u32 warp_counts[WARP];
    const Channel channel = channels[blockIdx.x];
    const u32 words = (channel.rows + WARP - 1) / WARP;
    u32 total = 0;
    for (u32 begin = 0; begin < channel.columns; begin += blockDim.x) {
        const u32 column = channel.first_column + begin + threadIdx.x;
        const bool inside = begin + threadIdx.x < channel.columns;
        u32 count = 0;
        for (u32 word = 0; inside && word < words; word++) {
            count += __popc(changed[(i64)column * WORDS_OF_COLUMN + word]);
        }
        const u32 in_earlier = total;
        const u32 offset = in_earlier + sum_before_here(count, warp_counts, total);
        if (inside) column_offsets[column] = offset;
    }
    if (threadIdx.x == 0) totals[blockIdx.x] = total;
}

// Writes the flat ring index and the level of every changed cell, channel after channel. One warp a ring column.
extern "C" __global__ void __launch_bounds__(256) write_changes(
    u32 all_columns, const u32* __restrict__ channel_of_column, const Channel* __restrict__ channels,
    const u32* __restrict__ changed, const u32* __restrict__ column_offsets, const u32* __restrict__ totals,
    const u8* __restrict__ rings, u32* __restrict__ indices, u8* __restrict__ levels) {
    const u32 column = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (column >= all_columns) return;
    const u32 number = channel_of_column[column];
    const Channel channel = channels[number];
    const u32 lane = threadIdx.x % WARP;
    const u32 words = (channel.rows + WARP - 1) / WARP;
    const u32 own_word = lane < words ? changed[(i64)column * WORDS_OF_COLUMN + lane] : 0;
    if (__ballot_sync(ALL_LANES, own_word != 0) == 0) return;  // most columns of most ticks

    i64 next = column_offsets[column];
    for (u32 earlier = 0; earlier < number; earlier++) next += totals[earlier];
    const u32 first_index = (column - channel.first_column) * channel.rows;
    for (u32 word = 0; word < words; word++) {
        const u32 bits = __shfl_sync(ALL_LANES, own_word, word);
        if (bits >> lane & 1) {
            const i64 place = next + __popc(bits & ((1u << lane) - 1));
            const u32 index = first_index + word * WARP + lane;
            indices[place] = index;
            levels[place] = rings[channel.first_cell + index];
        }
        next += __popc(bits);
    }
}

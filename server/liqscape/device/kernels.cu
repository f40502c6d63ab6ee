// Grids on the GPU: signed events -> delta grid -> grid -> levels -> the cells whose level changed.
//
// Every stage is one launch over a table of jobs, for all symbols, timeframes and weight tables together. The definition
// of each result is numpy_grid.py; --fmad=false, because levels are of a float64 that NumPy rounds twice.

constexpr u32 MAX_ROWS = 1024;
constexpr u32 WORDS_OF_COLUMN = MAX_ROWS / WARP;  // a bit for each row of a column
constexpr u32 TILE_COLUMNS = 32;
constexpr u32 EVENTS_IN_FLIGHT = 4;  // loads of so many events are under way in each thread; what one load brings
constexpr u32 FEW_EVENTS = 128;      // of a job whose sums go to global memory at once: sooner done than shared ones
constexpr u32 CELLS_IN_FLIGHT = 4;

// One grid and its ring of levels, both of columns x rows.
struct Channel {
    i64 first_cell;       // where the grid is, in cells from the base pointer of all grids
    i64 first_level;      // where the ring is, in levels from the base pointer of all rings
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

// Columns of events, in time order; the event's own minute is not needed, its job knows the column. Each begins at a
// multiple of 32 bytes, and may be read up to the next one after its end.
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
    u32 opened_inside;  // not 0: all of them opened within the window
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

// Adds to a row of a column, or for many events to the sums that are added to it at the end.
__device__ void add_to_row(bool few, u64* column, u32* low, u32* high, u32 row, u64 value) {
    if (value == 0) return;
    if (few) {
        atomicAdd(&column[row], value);
    } else {
        add_to_halves(low, high, row, value);
    }
}

// Adds lots x weight of every job's events to its column. cells: zeros before the first job. A thread takes events that
// follow each other: merged ones are sorted by row within their bin, so most of its sums are of one row, and a warp that
// adds them together meets in one place of shared memory a quarter as often.
extern "C" __global__ void __launch_bounds__(256) project_columns(
    const ProjectJob* __restrict__ jobs, const Channel* __restrict__ channels, const EventRun* __restrict__ runs,
    const u16* __restrict__ weights, u64* cells) {
    __shared__ u32 low[MAX_ROWS];
    __shared__ u32 high[MAX_ROWS];
    const ProjectJob job = jobs[blockIdx.x];
    if (job.events == 0) return;
    const Channel channel = channels[job.channel];
    const EventRun run = runs[job.run];
    u64* column = cells + channel.first_cell + (i64)job.column * channel.rows;
    const bool few = job.events <= FEW_EVENTS;
    if (!few) {
        for (u32 row = threadIdx.x; row < channel.rows; row += blockDim.x) low[row] = high[row] = 0;
        __syncthreads();
    }

    const u32 end = job.first_event + job.events;
    const u32 aligned = job.first_event - job.first_event % EVENTS_IN_FLIGHT;
    for (u32 begin = aligned + EVENTS_IN_FLIGHT * threadIdx.x; begin < end; begin += EVENTS_IN_FLIGHT * blockDim.x) {
        // Of a pointer that was itself read the compiler does not know that it is to global memory.
        const int4 rows = __ldg((const int4*)(run.row + begin));
        const longlong2 lots_01 = __ldg((const longlong2*)(run.lots + begin));
        const longlong2 lots_23 = __ldg((const longlong2*)(run.lots + begin + 2));
        const ushort4 keys = __ldg((const ushort4*)(run.key + begin));
        int4 opened = {channel.first_minute, channel.first_minute, channel.first_minute, channel.first_minute};
        if (job.opened_inside == 0) opened = __ldg((const int4*)(run.open_minute + begin));
        const i32 row[] = {rows.x, rows.y, rows.z, rows.w}, open_minute[] = {opened.x, opened.y, opened.z, opened.w};
        const u32 key[] = {keys.x, keys.y, keys.z, keys.w};
        const i64 lots[] = {lots_01.x, lots_01.y, lots_23.x, lots_23.y};
        u32 at = 0;
        u64 sum = 0;
#pragma unroll
        for (u32 k = 0; k < EVENTS_IN_FLIGHT; k++) {
            if (begin + k < job.first_event || begin + k >= end || open_minute[k] < channel.first_minute) continue;
            // As an unsigned number a row below the range is huge, so one comparison tests both ends.
            const u32 own = (u32)coarse_row(row[k], channel.row_magic, channel.row_shift) - (u32)channel.first_row;
            if (own >= channel.rows) continue;
            if (own != at) {
                add_to_row(few, column, low, high, at, sum);
                at = own;
                sum = 0;
            }
            sum += (u64)lots[k] * weights[channel.first_weight + key[k]];
        }
        add_to_row(few, column, low, high, at, sum);
    }
    if (few) return;
    __syncthreads();

    for (u32 row = threadIdx.x; row < channel.rows; row += blockDim.x) {
        const u64 sum = ((u64)high[row] << 32) + low[row];
        if (sum != 0) atomicAdd(&column[row], sum);
    }
}

// Sets the cells of a tile to zero.
extern "C" __global__ void __launch_bounds__(256) clear_tiles(
    const ScanJob* __restrict__ jobs, const Channel* __restrict__ channels, i64* __restrict__ cells) {
    const ScanJob job = jobs[blockIdx.x];
    const Channel channel = channels[job.channel];
    const u32 row = job.first_row + threadIdx.x;
    if (row >= channel.rows) return;
    const u32 end = min(job.first_column + TILE_COLUMNS, channel.columns);
    i64* cell = cells + channel.first_cell + row;
#pragma unroll 8
    for (u32 column = job.first_column; column < end; column++) cell[(i64)column * channel.rows] = 0;
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

// Replaces deltas by their prefix sums along the columns.
extern "C" __global__ void __launch_bounds__(256) scan_tiles(
    const ScanJob* __restrict__ jobs, const Channel* __restrict__ channels, const i64* __restrict__ tile_sums,
    i64* cells) {
    const ScanJob job = jobs[blockIdx.x];
    const Channel channel = channels[job.channel];
    const u32 row = job.first_row + threadIdx.x;
    if (row >= channel.rows) return;
    const u32 end = min(job.first_column + TILE_COLUMNS, channel.columns);
    u64 sum = 0;
    const i64* before = tile_sums + (i64)channel.first_tile * MAX_ROWS + row;
#pragma unroll 8
    for (u32 tile = 0; tile < job.first_column / TILE_COLUMNS; tile++) sum += (u64)before[(i64)tile * MAX_ROWS];
    i64* cell = cells + channel.first_cell + row;
#pragma unroll 4
    for (u32 column = job.first_column; column < end; column++) {
        sum += (u64)cell[(i64)column * channel.rows];
        cell[(i64)column * channel.rows] = (i64)sum;
    }
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
    u8* ring = rings + channel.first_level + row;

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

// Writes the flat ring index and the level of changed cells, channel after channel: of those that as many as `first` come
// before, `capacity` at most. One warp a ring column.
extern "C" __global__ void __launch_bounds__(256) write_changes(
    u32 all_columns, const u32* __restrict__ channel_of_column, const Channel* __restrict__ channels,
    const u32* __restrict__ changed, const u32* __restrict__ column_offsets, const u32* __restrict__ totals,
    const u8* __restrict__ rings, u32 first, u32 capacity, u32* __restrict__ indices, u8* __restrict__ levels) {
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
        // As an unsigned number a place below the first is huge, so one comparison tests both ends.
        const u64 place = (u64)(next + __popc(bits & ((1u << lane) - 1)) - first);
        if (bits >> lane & 1 && place < capacity) {
            const u32 index = first_index + word * WARP + lane;
            indices[place] = index;
            levels[place] = rings[channel.first_level + index];
        }
        next += __popc(bits);
    }
}

// ---- new events -> logs ----------------------------------------------------------------------------------

// Where events of a batch go: bytes from the base pointer, since of a pointer that was itself read the compiler does not
// know that it is to global memory.
struct AppendJob {
    i64 row, open_minute, key, lots, cause;
    u32 first_event, events;
};

// Copies each job's events to the end of a log.
extern "C" __global__ void __launch_bounds__(256) append_events(
    const AppendJob* __restrict__ jobs, const i32* __restrict__ row, const i32* __restrict__ open_minute,
    const u16* __restrict__ key, const i64* __restrict__ lots, const u8* __restrict__ cause, u8* base) {
    const AppendJob job = jobs[blockIdx.x];
    for (u32 event = threadIdx.x; event < job.events; event += blockDim.x) {
        ((i32*)(base + job.row))[event] = row[job.first_event + event];
        ((i32*)(base + job.open_minute))[event] = open_minute[job.first_event + event];
        ((u16*)(base + job.key))[event] = key[job.first_event + event];
        ((i64*)(base + job.lots))[event] = lots[job.first_event + event];
        (base + job.cause)[event] = cause[job.first_event + event];
    }
}

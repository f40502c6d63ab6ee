// Live tables on the GPU: open cohorts in append order; sweep, close, append, and the dropping of what has ended.
//
// Every launch serves the tables of all symbols. Their cohorts lie in common columns, one span of places a table; their
// groups are numbered through. What is selected becomes bits, a word for each 32 places; prefix sums of the bits place
// it, so that results are in append order whatever the order of threads. The definition of each result is
// numpy_live.py. The number of threads of a block divides TILE_PLACES.

constexpr u32 NO_PLACE = 0xffffffffu;
constexpr u64 NO_CODE = ~0ull;

constexpr u32 DIGIT_BITS = 8;
constexpr u32 DIGITS = 1u << DIGIT_BITS;
constexpr u32 DIGITS_OF_LANE = DIGITS / WARP;

// The search for the last cohort that a group closes, in order (clock, place).
struct Search {
    u64 lots;       // still to be found from here on, at least 1; after the last pass: of the last cohort. 0: no search
    u64 clock;      // the digits found so far, of the clock above the lowest one
    u64 open_lots;  // of the whole group; written by the first pass
    i64 lowest;     // no clock of the group is below it
    u32 place;      // the digits found so far
    u32 padding;
};

// What was taken from a cohort.
struct alignas(16) Ended {
    i64 lots, left;
    i32 open_minute, row;
    u32 key, padding;
};

__device__ u32 group_of(u32 key) { return (key >> 5) * 2 + (key & 1); }

__device__ u64 row_and_key(i32 row, u32 key) { return (u64)(u32)row << 16 | key; }

// The first place opened in a minute or later; minutes ascend.
__device__ u32 first_place_since(const i32* open_minute, u32 places, i32 minute) {
    u32 begin = 0, end = places;
    while (begin < end) {
        const u32 middle = begin + (end - begin) / 2;
        if (open_minute[middle] < minute) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

// ---- marking: one block a tile, a bit for each place -----------------------------------------------------

// Marks the cohorts that the trigger row of their group has reached: a long when its row >= it, a short when <= it.
extern "C" __global__ void __launch_bounds__(256) mark_swept(
    const u32* __restrict__ table_of_tile, const Span* __restrict__ tables, const u32* __restrict__ first_groups,
    const i64* __restrict__ trigger_rows, const i32* __restrict__ row, const u16* __restrict__ key,
    const i64* __restrict__ lots, u32* __restrict__ marked) {
    const u32 number = table_of_tile[blockIdx.x];
    const Span table = tables[number];
    const i64* triggers = trigger_rows + first_groups[number];
    for (u32 at = threadIdx.x; at < TILE_PLACES; at += blockDim.x) {
        const u32 place = (blockIdx.x - table.first_tile) * TILE_PLACES + at;
        bool ends = false;
        if (place < table.count) {
            const u32 cohort = table.first + place;
            const u32 group = group_of(key[cohort]);
            const i64 trigger = triggers[group], own = row[cohort];
            const bool reached = group % 2 == 0 ? own >= trigger : own <= trigger;
            ends = reached && trigger != 0x7fffffffffffffffll && lots[cohort] > 0;
        }
        const u32 word = __ballot_sync(ALL_LANES, ends);
        if (at % WARP == 0) marked[blockIdx.x * WORDS_OF_TILE + at / WARP] = word;
    }
}

// Marks, of every group with a search, the cohorts up to the one that was found.
extern "C" __global__ void __launch_bounds__(256) mark_due(
    const u32* __restrict__ table_of_tile, const Span* __restrict__ tables, const u32* __restrict__ first_groups,
    const Search* __restrict__ searches, const u16* __restrict__ key, const i64* __restrict__ lots,
    const i64* __restrict__ clock, u32* __restrict__ marked) {
    const u32 number = table_of_tile[blockIdx.x];
    const Span table = tables[number];
    const u32 first_group = first_groups[number];
    for (u32 at = threadIdx.x; at < TILE_PLACES; at += blockDim.x) {
        const u32 place = (blockIdx.x - table.first_tile) * TILE_PLACES + at;
        bool due = false;
        if (place < table.count) {
            const u32 cohort = table.first + place;
            const Search search = searches[first_group + group_of(key[cohort])];
            const u64 own = (u64)(clock[cohort] - search.lowest);
            const bool reached = own < search.clock || (own == search.clock && place <= search.place);
            due = reached && search.lots != 0 && lots[cohort] > 0;
        }
        const u32 word = __ballot_sync(ALL_LANES, due);
        if (at % WARP == 0) marked[blockIdx.x * WORDS_OF_TILE + at / WARP] = word;
    }
}

// Marks the cohorts that have not ended.
extern "C" __global__ void __launch_bounds__(256) mark_live(
    const u32* __restrict__ table_of_tile, const Span* __restrict__ tables, const i64* __restrict__ lots,
    u32* __restrict__ marked) {
    const Span table = tables[table_of_tile[blockIdx.x]];
    for (u32 at = threadIdx.x; at < TILE_PLACES; at += blockDim.x) {
        const u32 place = (blockIdx.x - table.first_tile) * TILE_PLACES + at;
        const u32 word = __ballot_sync(ALL_LANES, place < table.count && lots[table.first + place] > 0);
        if (at % WARP == 0) marked[blockIdx.x * WORDS_OF_TILE + at / WARP] = word;
    }
}

// Writes, for each tile, how many marked places of its table come before it, and for each table how many there are.
// One block a table.
extern "C" __global__ void __launch_bounds__(1024) offset_tiles(
    const Span* __restrict__ spans, const u32* __restrict__ marked, u32* __restrict__ offsets,
    u32* __restrict__ totals) {
    __shared__ u32 warp_counts[WARP];
    const Span span = spans[blockIdx.x];
    const u32 tiles = (span.count + TILE_PLACES - 1) / TILE_PLACES;
    u32 total = 0;
    for (u32 begin = 0; begin < tiles; begin += blockDim.x) {
        const u32 tile = span.first_tile + begin + threadIdx.x;
        const bool inside = begin + threadIdx.x < tiles;
        u32 count = 0;
        for (u32 word = 0; inside && word < WORDS_OF_TILE; word++) {
            count += __popc(marked[(i64)tile * WORDS_OF_TILE + word]);
        }
        const u32 in_earlier = total;
        const u32 offset = in_earlier + sum_before_here(count, warp_counts, total);
        if (inside) offsets[tile] = offset;
    }
    if (threadIdx.x == 0) totals[blockIdx.x] = total;
}

// ---- sweep and close: taking lots ------------------------------------------------------------------------

// Takes the lots of every marked cohort, and of the last one of a search what it asks for; writes them table after
// table in append order. Takes nothing at all where all that is marked is more than out has room for, or where the
// searches are refused: the host sees both. totals: [tables], as offset_tiles writes them. searches: nullptr where every
// marked cohort ends.
extern "C" __global__ void __launch_bounds__(256) take_marked(
    const u32* __restrict__ table_of_tile, const Span* __restrict__ spans, const u32* __restrict__ first_groups,
    const Search* __restrict__ searches, const u32* __restrict__ refused, const u32* __restrict__ marked,
    const u32* __restrict__ offsets, const u32* __restrict__ totals, u32 tables, u32 room,
    const i32* __restrict__ open_minute, const i32* __restrict__ row, const u16* __restrict__ key,
    i64* __restrict__ lots, Ended* __restrict__ out) {
    const u32 lane = threadIdx.x % WARP, tile = blockIdx.x;
    const u32 own_word = lane < WORDS_OF_TILE ? marked[(i64)tile * WORDS_OF_TILE + lane] : 0;
    if (__ballot_sync(ALL_LANES, own_word != 0) == 0) return;  // most tiles of most ticks
    if (searches != nullptr && *refused != 0) return;
    const u32 before_word = sum_up_to_here((u32)__popc(own_word), lane) - __popc(own_word);

    const u32 number = table_of_tile[tile];
    u32 of_earlier = 0, of_all = 0;
    for (u32 table = lane; table < tables; table += WARP) {
        const u32 total = totals[table];
        of_all += total;
        if (table < number) of_earlier += total;
    }
    of_earlier = __shfl_sync(ALL_LANES, sum_up_to_here(of_earlier, lane), WARP - 1);
    of_all = __shfl_sync(ALL_LANES, sum_up_to_here(of_all, lane), WARP - 1);
    if (of_all > room) return;

    const Span table = spans[number];
    const u32 first = of_earlier + offsets[tile];
    for (u32 word = threadIdx.x / WARP; word < WORDS_OF_TILE; word += blockDim.x / WARP) {
        const u32 bits = __shfl_sync(ALL_LANES, own_word, word);
        const u32 before = __shfl_sync(ALL_LANES, before_word, word);
        if (!(bits >> lane & 1)) continue;
        const u32 place = (tile - table.first_tile) * TILE_PLACES + word * WARP + lane;
        const u32 cohort = table.first + place;
        const u32 own_key = key[cohort];
        const i64 held = lots[cohort];
        i64 taken = held;
        if (searches != nullptr) {
            const Search search = searches[first_groups[number] + group_of(own_key)];
            if (place == search.place) taken = (i64)search.lots;
        }
        lots[cohort] = held - taken;
        const u32 at = first + before + __popc(bits & ((1u << lane) - 1));
        out[at] = {taken, held - taken, open_minute[cohort], row[cohort], own_key, 0};
    }
}

// ---- close: which cohort of each group is the last -------------------------------------------------------

// Adds up, by group and digit, the lots of the cohorts whose digits before this one are those found so far. A digit is
// one of the clock, high ones first, and then one of the place: cohorts of equal clock close in append order. shift:
// its lowest bit; bits: how many it has. sums: [group, DIGITS], zeros before.
extern "C" __global__ void __launch_bounds__(256) sum_digits(
    const u32* __restrict__ table_of_tile, const Span* __restrict__ tables, const u32* __restrict__ first_groups,
    const Search* __restrict__ searches, u32 of_clock, u32 shift, u32 bits,
    const u16* __restrict__ key, const i64* __restrict__ lots, const i64* __restrict__ clock, u64* sums) {
    const u32 number = table_of_tile[blockIdx.x];
    const Span table = tables[number];
    const u32 first_group = first_groups[number];
    for (u32 at = threadIdx.x; at < TILE_PLACES; at += blockDim.x) {
        const u32 place = (blockIdx.x - table.first_tile) * TILE_PLACES + at;
        if (place >= table.count) break;
        const u32 cohort = table.first + place;
        const u32 group = first_group + group_of(key[cohort]);
        const Search search = searches[group];
        if (search.lots == 0) continue;
        const u64 own_clock = (u64)(clock[cohort] - search.lowest);
        const u64 digits = (of_clock != 0 ? own_clock : place) >> shift;
        const u64 found = of_clock != 0 ? search.clock : search.place;
        if (digits >> bits != found || (of_clock == 0 && own_clock != search.clock)) continue;
        const i64 held = lots[cohort];
        const u64 own_digit = digits & ((1u << bits) - 1);
        if (held != 0) atomicAdd(&sums[(i64)group * DIGITS + own_digit], (u64)held);
    }
}

// Appends to every search the digit in which its lots are reached; puts zeros back. One warp a group. A search for more
// than the group holds finds nothing; it sets refused, and open_lots tells.
extern "C" __global__ void __launch_bounds__(256) narrow_searches(
    u32 groups, u32 is_first, u32 of_clock, u32 bits, Search* __restrict__ searches, u64* __restrict__ sums,
    u32* refused) {
    const u32 group = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (group >= groups) return;
    const u64 lots = searches[group].lots;
    if (lots == 0) return;
    __syncwarp(ALL_LANES);  // all lanes have read what one of them will write
    const u32 lane = threadIdx.x % WARP;
    u64* own = sums + (i64)group * DIGITS + lane * DIGITS_OF_LANE;
    u64 sum[DIGITS_OF_LANE], all = 0;
#pragma unroll
    for (u32 k = 0; k < DIGITS_OF_LANE; k++) {
        sum[k] = own[k];
        own[k] = 0;
        all += sum[k];
    }
    const u64 up_to_here = sum_up_to_here(all, lane);
    if (is_first != 0 && lane == WARP - 1) {
        searches[group].open_lots = up_to_here;
        if (up_to_here < lots) atomicOr(refused, 1u);
    }
    u64 before = up_to_here - all;
#pragma unroll
    for (u32 k = 0; k < DIGITS_OF_LANE; k++) {
        if (before < lots && lots <= before + sum[k]) {
            const u32 found = lane * DIGITS_OF_LANE + k;
            searches[group].lots = lots - before;
            if (of_clock != 0) {
                searches[group].clock = searches[group].clock << bits | found;
            } else {
                searches[group].place = searches[group].place << bits | found;
            }
        }
        before += sum[k];
    }
}

// ---- append ----------------------------------------------------------------------------------------------

// Finds for each new cohort the live one of the same minute, row and key, and marks those that have none. All that
// could be joined is at the end of the table: a minute's cohorts, few enough to be compared with each. minutes:
// [table], of the batch. joined: [new cohort] a place or NO_PLACE. TILE_PLACES / blockDim.x blocks a tile.
extern "C" __global__ void __launch_bounds__(256) find_joined(
    const u32* __restrict__ table_of_tile, const Span* __restrict__ batches, const Span* __restrict__ tables,
    const i32* __restrict__ minutes, const i32* __restrict__ new_row, const u16* __restrict__ new_key,
    const i32* __restrict__ open_minute, const i32* __restrict__ row, const u16* __restrict__ key,
    const i64* __restrict__ lots, u32* __restrict__ joined, u32* __restrict__ marked) {
    __shared__ u64 codes[256];
    const u32 blocks_of_tile = TILE_PLACES / blockDim.x;
    const u32 tile = blockIdx.x / blocks_of_tile;
    const u32 number = table_of_tile[tile];
    const Span batch = batches[number], table = tables[number];
    const u32 first_in_tile = blockIdx.x % blocks_of_tile * blockDim.x;
    const u32 first = (tile - batch.first_tile) * TILE_PLACES + first_in_tile;
    const bool inside = first + threadIdx.x < batch.count;
    const u32 entry = batch.first + first + threadIdx.x;
    const u64 own = inside ? row_and_key(new_row[entry], new_key[entry]) : 0;
    u32 found = NO_PLACE;
    // Nobody in this block: nothing to look for, but the bits have to be written.
    u32 begin = first < batch.count ? first_place_since(open_minute + table.first, table.count, minutes[number])
                                    : table.count;
    for (; begin < table.count; begin += blockDim.x) {
        const u32 cohort = table.first + begin + threadIdx.x;
        const bool live = begin + threadIdx.x < table.count && lots[cohort] > 0;
        codes[threadIdx.x] = live ? row_and_key(row[cohort], key[cohort]) : NO_CODE;
        __syncthreads();
        for (u32 k = 0; inside && k < blockDim.x; k++) {
            if (codes[k] == own) found = begin + k;
        }
        __syncthreads();  // codes is written again
    }
    if (inside) joined[entry] = found;
    const u32 word = __ballot_sync(ALL_LANES, inside && found == NO_PLACE);
    if (threadIdx.x % WARP == 0) marked[tile * WORDS_OF_TILE + (first_in_tile + threadIdx.x) / WARP] = word;
}

// Adds the lots of those that join, and puts the marked ones at the end of their tables. held: [new cohort], the lots of
// what it now is or has joined. One block a tile of the batches.
extern "C" __global__ void __launch_bounds__(256) append_cohorts(
    const u32* __restrict__ table_of_tile, const Span* __restrict__ batches, const Span* __restrict__ tables,
    const i32* __restrict__ minutes, const u32* __restrict__ marked, const u32* __restrict__ offsets,
    const u32* __restrict__ joined, const i32* __restrict__ new_row, const u16* __restrict__ new_key,
    const i64* __restrict__ new_lots, const i64* __restrict__ new_clock, i32* __restrict__ open_minute,
    i32* __restrict__ row, u16* __restrict__ key, i64* __restrict__ lots, i64* __restrict__ clock,
    i64* __restrict__ held) {
    const u32 lane = threadIdx.x % WARP, tile = blockIdx.x;
    const u32 own_word = lane < WORDS_OF_TILE ? marked[(i64)tile * WORDS_OF_TILE + lane] : 0;
    const u32 before_word = sum_up_to_here((u32)__popc(own_word), lane) - __popc(own_word);
    const u32 number = table_of_tile[tile];
    const Span batch = batches[number], table = tables[number];
    const u32 end = table.first + table.count + offsets[tile];
    for (u32 word = threadIdx.x / WARP; word < WORDS_OF_TILE; word += blockDim.x / WARP) {
        const u32 bits = __shfl_sync(ALL_LANES, own_word, word);
        const u32 before = __shfl_sync(ALL_LANES, before_word, word);
        const u32 at = (tile - batch.first_tile) * TILE_PLACES + word * WARP + lane;
        if (at >= batch.count) continue;
        const u32 entry = batch.first + at;
        i64 now = new_lots[entry];
        if (bits >> lane & 1) {
            const u32 cohort = end + before + __popc(bits & ((1u << lane) - 1));
            open_minute[cohort] = minutes[number];
            row[cohort] = new_row[entry];
            key[cohort] = new_key[entry];
            lots[cohort] = now;
            clock[cohort] = new_clock[entry];
        } else {
            const u32 cohort = table.first + joined[entry];
            now += lots[cohort];
            lots[cohort] = now;
        }
        held[entry] = now;
    }
}

// ---- all cohorts -----------------------------------------------------------------------------------------

// Copies the marked cohorts, without gaps, to other columns. first_to: [table], where the table begins there. Not in
// place: a block would write where another has yet to read.
extern "C" __global__ void __launch_bounds__(256) move_marked(
    const u32* __restrict__ table_of_tile, const Span* __restrict__ tables, const u32* __restrict__ marked,
    const u32* __restrict__ offsets, const u32* __restrict__ first_to, const i32* __restrict__ open_minute,
    const i32* __restrict__ row, const u16* __restrict__ key, const i64* __restrict__ lots,
    const i64* __restrict__ clock, i32* __restrict__ to_open_minute, i32* __restrict__ to_row, u16* __restrict__ to_key,
    i64* __restrict__ to_lots, i64* __restrict__ to_clock) {
    const u32 lane = threadIdx.x % WARP, tile = blockIdx.x;
    const u32 own_word = lane < WORDS_OF_TILE ? marked[(i64)tile * WORDS_OF_TILE + lane] : 0;
    const u32 before_word = sum_up_to_here((u32)__popc(own_word), lane) - __popc(own_word);
    const u32 number = table_of_tile[tile];
    const Span table = tables[number];
    const u32 first = first_to[number] + offsets[tile];
    for (u32 word = threadIdx.x / WARP; word < WORDS_OF_TILE; word += blockDim.x / WARP) {
        const u32 bits = __shfl_sync(ALL_LANES, own_word, word);
        const u32 before = __shfl_sync(ALL_LANES, before_word, word);
        if (!(bits >> lane & 1)) continue;
        const u32 from = table.first + (tile - table.first_tile) * TILE_PLACES + word * WARP + lane;
        const u32 to = first + before + __popc(bits & ((1u << lane) - 1));
        to_open_minute[to] = open_minute[from];
        to_row[to] = row[from];
        to_key[to] = key[from];
        to_lots[to] = lots[from];
        to_clock[to] = clock[from];
    }
}

// Adds up the lots of each group. sums: [group of all tables], zeros before.
extern "C" __global__ void __launch_bounds__(256) sum_groups(
    const u32* __restrict__ table_of_tile, const Span* __restrict__ tables, const u32* __restrict__ first_groups,
    const u16* __restrict__ key, const i64* __restrict__ lots, u64* sums) {
    const u32 number = table_of_tile[blockIdx.x];
    const Span table = tables[number];
    for (u32 at = threadIdx.x; at < TILE_PLACES; at += blockDim.x) {
        const u32 place = (blockIdx.x - table.first_tile) * TILE_PLACES + at;
        if (place >= table.count) break;
        const i64 held = lots[table.first + place];
        if (held != 0) atomicAdd(&sums[first_groups[number] + group_of(key[table.first + place])], (u64)held);
    }
}

// Age tiers on the GPU: events of some runs -> those opened between two minutes -> sorted codes -> the sums of equal ones.
//
// What takes part is marked by bits, as in live_kernels.cu, whose offset_tiles places it. Events become codes of 64 bits
// whose order is that of the tier, a radix sort brings equal ones together, and what adds up to nothing is dropped. The
// definition of each result is numpy_tiers.py. The number of threads of a block is a power of two, divides TILE_PLACES
// and DIGITS, and its warps divide SORT_PLACES.

constexpr u32 DIGIT_BITS = 8;
constexpr u32 DIGITS = 1u << DIGIT_BITS;
constexpr u32 SORT_PLACES = 4096;  // of one block: some of every digit, so that what it writes lies together
constexpr u32 MOST_WARPS = 8;
constexpr u32 EXTENTS = 10;
constexpr i32 NEVER = 2147483647;

// Some events of one run, fewer than 2^31.
struct Part {
    const i32* row;  // of the run's first event, as all of these
    const i32* open_minute;
    const u16* key;
    const i64* lots;
    const u8* cause;  // null where causes are not kept
    u32 first_bin;    // where its event bins begin in the tables of all parts
    u32 bins;
};

// How an event becomes a code and back. A code holds, from the top: event bin, row, open bin, key, cause, each less its
// least one. Rows and open minutes are floored to bins by a magic number and a shift; see coarse_row.
struct Code {
    u32 row_magic, row_shift, open_magic, open_shift;
    i32 first_bin, first_row, first_open, first_key, first_cause;
    u32 row_bits, open_bits, key_bits, cause_bits;
    u32 row_unit, bin_minutes, keeps_cause;
};

__device__ i32 least_of_warp(i32 value, u32 lane) {
    for (u32 distance = WARP / 2; distance > 0; distance /= 2) {
        value = min(value, __shfl_sync(ALL_LANES, value, lane ^ distance));
    }
    return value;
}

__device__ u32 digit_of(u64 code, u32 shift) { return (u32)(code >> shift) & (DIGITS - 1); }

// The last entry not above a place; the first one is 0, and they ascend.
__device__ u32 last_up_to(const u32* firsts, u32 count, u32 place) {
    u32 begin = 0, end = count;  // the entry at begin is not above it, that at end is
    while (end - begin > 1) {
        const u32 middle = begin + (end - begin) / 2;
        if (firsts[middle] <= place) {
            begin = middle;
        } else {
            end = middle;
        }
    }
    return begin;
}

// How many places of a span before this one, which is in it, are marked.
__device__ u32 marked_before(u32 place, u32 first_tile, const u32* marked, const u32* offsets) {
    const u32 tile = first_tile + place / TILE_PLACES, end = place % TILE_PLACES;
    const u32* words = marked + (i64)tile * WORDS_OF_TILE;
    u32 before = offsets[tile];
    for (u32 word = 0; word < end / WARP; word++) before += __popc(words[word]);
    return before + __popc(words[end / WARP] & ((1u << end % WARP) - 1));
}

// ---- which events ----------------------------------------------------------------------------------------

// Counts the events opened in each tier. limits: [tiers + 1], of open minutes, falling: tier k is from limits[k + 1] to
// before limits[k]. At most as many tiers as a warp has lanes. counts: [tier], zeros before.
extern "C" __global__ void __launch_bounds__(256) count_opened(
    u32 events, u32 tiers, const i32* __restrict__ limits, const i32* __restrict__ open_minute, u32* counts) {
    const u32 lane = threadIdx.x % WARP;
    u32 own = 0;  // of the tier with this lane's number
    for (u32 at = threadIdx.x; at < TILE_PLACES; at += blockDim.x) {
        const u32 event = blockIdx.x * TILE_PLACES + at;
        const bool inside = event < events;
        const i32 opened = inside ? open_minute[event] : 0;
        for (u32 tier = 0; tier < tiers; tier++) {
            const bool here = inside && limits[tier + 1] <= opened && opened < limits[tier];
            const u32 found = __popc(__ballot_sync(ALL_LANES, here));
            if (lane == tier) own += found;
        }
    }
    if (own != 0) atomicAdd(&counts[lane], own);
}

// Marks what was opened from low to before high, one block a tile of a part, and finds the extents of what is marked:
// least place, row, open minute, key and cause, and of each the least complement, which is that of the greatest. extents:
// [part, EXTENTS], NEVER before.
extern "C" __global__ void __launch_bounds__(256) mark_opened(
    const u32* __restrict__ part_of_tile, const Part* __restrict__ parts, const Span* __restrict__ spans, i32 low,
    i32 high, u32 keeps_cause, u32* __restrict__ marked, i32* extents) {
    __shared__ i32 of_block[EXTENTS];
    if (threadIdx.x < EXTENTS) of_block[threadIdx.x] = NEVER;
    __syncthreads();
    const u32 lane = threadIdx.x % WARP, number = part_of_tile[blockIdx.x];
    const Span span = spans[number];
    const Part part = parts[number];
    i32 least[EXTENTS];
#pragma unroll
    for (u32 k = 0; k < EXTENTS; k++) least[k] = NEVER;
    bool any = false;
    for (u32 at = threadIdx.x; at < TILE_PLACES; at += blockDim.x) {
        const u32 place = (blockIdx.x - span.first_tile) * TILE_PLACES + at;
        bool here = false;
        if (place < span.count) {
            const u32 event = span.first + place;
            const i32 opened = __ldg(&part.open_minute[event]);
            here = low <= opened && opened < high;
            if (here) {
                const i32 row = __ldg(&part.row[event]), key = __ldg(&part.key[event]);
                const i32 cause = keeps_cause != 0 ? __ldg(&part.cause[event]) : 0;
                least[0] = min(least[0], (i32)place);
                least[1] = min(least[1], ~(i32)place);
                least[2] = min(least[2], row);
                least[3] = min(least[3], ~row);
                least[4] = min(least[4], opened);
                least[5] = min(least[5], ~opened);
                least[6] = min(least[6], key);
                least[7] = min(least[7], ~key);
                least[8] = min(least[8], cause);
                least[9] = min(least[9], ~cause);
            }
        }
        const u32 word = __ballot_sync(ALL_LANES, here);
        if (at % WARP == 0) marked[blockIdx.x * WORDS_OF_TILE + at / WARP] = word;
        any |= word != 0;
    }
    if (any) {  // for all lanes of a warp or for none
#pragma unroll
        for (u32 k = 0; k < EXTENTS; k++) {
            const i32 of_warp = least_of_warp(least[k], lane);
            if (lane == 0) atomicMin(&of_block[k], of_warp);
        }
    }
    __syncthreads();
    // Once a block to global memory: all blocks of a part meet there.
    if (threadIdx.x < EXTENTS && of_block[threadIdx.x] != NEVER) {
        atomicMin(&extents[number * EXTENTS + threadIdx.x], of_block[threadIdx.x]);
    }
}

// Writes how many places of the first span before each of some places, which may be its end, are marked.
extern "C" __global__ void __launch_bounds__(256) rank_places(
    u32 count, const u32* __restrict__ places, const Span* __restrict__ spans, const u32* __restrict__ marked,
    const u32* __restrict__ offsets, const u32* __restrict__ totals, u32* __restrict__ ranks) {
    const u32 at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= count) return;
    const u32 place = places[at];
    ranks[at] = place < spans[0].count ? marked_before(place, spans[0].first_tile, marked, offsets) : totals[0];
}

// Copies the marked events of one run, without gaps, to other columns; the run is the first span and begins at its first
// event. first_tile: of the launch. cause: may be null, then to_cause is not written.
extern "C" __global__ void __launch_bounds__(256) move_opened(
    u32 first_tile, const u32* __restrict__ marked, const u32* __restrict__ offsets, const i32* __restrict__ row,
    const i32* __restrict__ open_minute, const u16* __restrict__ key, const i64* __restrict__ lots,
    const u8* __restrict__ cause, i32* __restrict__ to_row, i32* __restrict__ to_open_minute, u16* __restrict__ to_key,
    i64* __restrict__ to_lots, u8* __restrict__ to_cause) {
    const u32 lane = threadIdx.x % WARP, tile = first_tile + blockIdx.x;
    const u32 own_word = lane < WORDS_OF_TILE ? marked[(i64)tile * WORDS_OF_TILE + lane] : 0;
    const u32 before_word = sum_up_to_here((u32)__popc(own_word), lane) - __popc(own_word);
    for (u32 word = threadIdx.x / WARP; word < WORDS_OF_TILE; word += blockDim.x / WARP) {
        const u32 bits = __shfl_sync(ALL_LANES, own_word, word);
        const u32 before = __shfl_sync(ALL_LANES, before_word, word);
        if (!(bits >> lane & 1)) continue;
        const u32 from = tile * TILE_PLACES + word * WARP + lane;
        const u32 to = offsets[tile] + before + __popc(bits & ((1u << lane) - 1));
        to_row[to] = row[from];
        to_open_minute[to] = open_minute[from];
        to_key[to] = key[from];
        to_lots[to] = lots[from];
        if (cause != nullptr) to_cause[to] = cause[from];
    }
}

// Writes the code and the lots of every marked event, part after part. first_tile: of the launch; first_out: [part],
// where its events begin. bin_firsts: the number, within its part, of the first event of each event bin; bins: which bin
// that is.
extern "C" __global__ void __launch_bounds__(256) pack_events(
    u32 first_tile, const u32* __restrict__ part_of_tile, const Part* __restrict__ parts,
    const Span* __restrict__ spans, const u32* __restrict__ marked, const u32* __restrict__ offsets,
    const u32* __restrict__ first_out, const u32* __restrict__ bin_firsts, const i32* __restrict__ bins,
    const Code* __restrict__ code, u64* __restrict__ codes, i64* __restrict__ out_lots) {
    const u32 lane = threadIdx.x % WARP, tile = first_tile + blockIdx.x;
    const u32 own_word = lane < WORDS_OF_TILE ? marked[(i64)tile * WORDS_OF_TILE + lane] : 0;
    if (__ballot_sync(ALL_LANES, own_word != 0) == 0) return;  // a tier takes little of what happened
    const u32 before_word = sum_up_to_here((u32)__popc(own_word), lane) - __popc(own_word);

    const u32 number = part_of_tile[tile];
    const Span span = spans[number];
    const Part part = parts[number];
    const u32 first = first_out[number] + offsets[tile];
    for (u32 word = threadIdx.x / WARP; word < WORDS_OF_TILE; word += blockDim.x / WARP) {
        const u32 bits = __shfl_sync(ALL_LANES, own_word, word);
        const u32 before = __shfl_sync(ALL_LANES, before_word, word);
        if (!(bits >> lane & 1)) continue;
        const u32 place = (tile - span.first_tile) * TILE_PLACES + word * WARP + lane;
        const u32 event = span.first + place;
        const u32 out = first + before + __popc(bits & ((1u << lane) - 1));
        const i32 bin = bins[part.first_bin + last_up_to(bin_firsts + part.first_bin, part.bins, place)];
        const i32 row = coarse_row(__ldg(&part.row[event]), code->row_magic, code->row_shift);
        const i32 opened = coarse_row(__ldg(&part.open_minute[event]), code->open_magic, code->open_shift);
        const u32 cause = code->keeps_cause != 0 ? __ldg(&part.cause[event]) : 0;
        u64 packed = (u32)bin - (u32)code->first_bin;
        packed = packed << code->row_bits | ((u32)row - (u32)code->first_row);
        packed = packed << code->open_bits | ((u32)opened - (u32)code->first_open);
        packed = packed << code->key_bits | (__ldg(&part.key[event]) - (u32)code->first_key);
        packed = packed << code->cause_bits | (cause - (u32)code->first_cause);
        codes[out] = packed;
        out_lots[out] = __ldg(&part.lots[event]);
    }
}

// ---- radix sort, a digit a pass, the lowest first; stable ------------------------------------------------

// Counts the digits of each block's places. counts: [digit, block].
extern "C" __global__ void __launch_bounds__(256) count_digits(
    u32 count, u32 shift, const u64* __restrict__ codes, u32* __restrict__ counts) {
    __shared__ u32 own[DIGITS];
    for (u32 digit = threadIdx.x; digit < DIGITS; digit += blockDim.x) own[digit] = 0;
    __syncthreads();
    const u32 begin = blockIdx.x * SORT_PLACES, end = min(begin + SORT_PLACES, count);
    for (u32 place = begin + threadIdx.x; place < end; place += blockDim.x) {
        atomicAdd(&own[digit_of(codes[place], shift)], 1u);
    }
    __syncthreads();
    for (u32 digit = threadIdx.x; digit < DIGITS; digit += blockDim.x) {
        counts[digit * gridDim.x + blockIdx.x] = own[digit];
    }
}

// Replaces the counts of a digit by how many of it come in earlier blocks, and writes how many there are. One block a
// digit; counts: [digit, blocks that counted].
extern "C" __global__ void __launch_bounds__(256) offset_digits(
    u32 blocks, u32* __restrict__ counts, u32* __restrict__ totals) {
    __shared__ u32 warp_counts[WARP];
    u32* own = counts + blockIdx.x * blocks;
    u32 total = 0;
    for (u32 begin = 0; begin < blocks; begin += blockDim.x) {
        const u32 block = begin + threadIdx.x;
        const u32 in_earlier = total;
        const u32 offset = in_earlier + sum_before_here(block < blocks ? own[block] : 0, warp_counts, total);
        if (block < blocks) own[block] = offset;
    }
    if (threadIdx.x == 0) totals[blockIdx.x] = total;
}

// Moves each block's places to where their digit belongs: after all of lower digits, and after those of the same digit
// in earlier blocks, in earlier warps, and before them in their own.
extern "C" __global__ void __launch_bounds__(256) scatter_digits(
    u32 count, u32 shift, const u32* __restrict__ offsets, const u32* __restrict__ totals,
    const u64* __restrict__ codes, const i64* __restrict__ lots, u64* __restrict__ to_codes,
    i64* __restrict__ to_lots) {
    __shared__ u32 nexts[MOST_WARPS * DIGITS];  // [warp, digit]: how many it has, then where its next one goes
    __shared__ u32 warp_sums[WARP];
    const u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, warps = blockDim.x / WARP;
    const u32 begin = min(blockIdx.x * SORT_PLACES + warp * (SORT_PLACES / warps), count);
    const u32 end = min(begin + SORT_PLACES / warps, count);
    u32* next = nexts + warp * DIGITS;
    for (u32 digit = lane; digit < DIGITS; digit += WARP) next[digit] = 0;
    __syncwarp(ALL_LANES);
    for (u32 place = begin + lane; place < end; place += WARP) {
        atomicAdd(&next[digit_of(codes[place], shift)], 1u);
    }
    // The barriers of sum_before_here are also between the counting above and the reading of it here.
    u32 in_lower = 0;
    for (u32 first = 0; first < DIGITS; first += blockDim.x) {
        const u32 digit = first + threadIdx.x;
        const u32 lower = in_lower;
        u32 to = lower + sum_before_here(totals[digit], warp_sums, in_lower) + offsets[digit * gridDim.x + blockIdx.x];
        for (u32 other = 0; other < warps; other++) {
            const u32 has = nexts[other * DIGITS + digit];
            nexts[other * DIGITS + digit] = to;
            to += has;
        }
    }
    __syncthreads();

    for (u32 first = begin; first < end; first += WARP) {
        const u32 place = first + lane;
        const bool inside = place < end;
        const u64 code = inside ? codes[place] : 0;
        const u32 digit = inside ? digit_of(code, shift) : DIGITS;
        const u32 equal = __match_any_sync(ALL_LANES, digit);
        const u32 before = __popc(equal & ((1u << lane) - 1));
        const u32 to = inside ? next[digit] + before : 0;
        __syncwarp(ALL_LANES);  // all lanes have read what one of them writes
        if (inside && before == 0) next[digit] += __popc(equal);
        __syncwarp(ALL_LANES);
        if (inside) {
            to_codes[to] = code;
            to_lots[to] = lots[place];
        }
    }
}

// ---- runs of equal codes ---------------------------------------------------------------------------------

// Marks the first place of each run.
extern "C" __global__ void __launch_bounds__(256) mark_heads(
    u32 count, const u64* __restrict__ codes, u32* __restrict__ marked) {
    for (u32 at = threadIdx.x; at < TILE_PLACES; at += blockDim.x) {
        const u32 place = blockIdx.x * TILE_PLACES + at;
        const bool head = place < count && (place == 0 || codes[place] != codes[place - 1]);
        const u32 word = __ballot_sync(ALL_LANES, head);
        if (at % WARP == 0) marked[blockIdx.x * WORDS_OF_TILE + at / WARP] = word;
    }
}

// Writes the code of each run and adds up its lots. run_lots: zeros before.
extern "C" __global__ void __launch_bounds__(256) sum_runs(
    u32 count, const u64* __restrict__ codes, const i64* __restrict__ lots, const u32* __restrict__ heads,
    const u32* __restrict__ offsets, u64* __restrict__ run_codes, u64* run_lots) {
    const u32 lane = threadIdx.x % WARP, tile = blockIdx.x;
    const u32 own_word = lane < WORDS_OF_TILE ? heads[(i64)tile * WORDS_OF_TILE + lane] : 0;
    const u32 before_word = sum_up_to_here((u32)__popc(own_word), lane) - __popc(own_word);
    for (u32 word = threadIdx.x / WARP; word < WORDS_OF_TILE; word += blockDim.x / WARP) {
        const u32 bits = __shfl_sync(ALL_LANES, own_word, word);
        const u32 before = __shfl_sync(ALL_LANES, before_word, word);
        const u32 place = tile * TILE_PLACES + word * WARP + lane;
        const bool inside = place < count;
        // A run adds once a warp, not once an event: all of them could be one run.
        const u64 up_to_here = sum_up_to_here(inside ? (u64)lots[place] : 0, lane);
        const u32 heads_up_to_here = bits & ((2u << lane) - 1);
        const u32 begin = heads_up_to_here == 0 ? 0 : WARP - 1 - __clz(heads_up_to_here);
        const u64 up_to_begin = __shfl_sync(ALL_LANES, up_to_here, begin == 0 ? 0 : begin - 1);
        if (!inside) continue;
        const u32 run = offsets[tile] + before + __popc(heads_up_to_here) - 1;
        if (bits >> lane & 1) run_codes[run] = codes[place];
        const bool last = lane == WARP - 1 || place == count - 1 || (bits >> (lane + 1) & 1);
        if (last) atomicAdd(&run_lots[run], up_to_here - (begin == 0 ? 0 : up_to_begin));
    }
}

// Marks the runs that do not add up to nothing. runs: how many there are.
extern "C" __global__ void __launch_bounds__(256) mark_nonzero(
    const u32* __restrict__ runs, const i64* __restrict__ run_lots, u32* __restrict__ marked) {
    for (u32 at = threadIdx.x; at < TILE_PLACES; at += blockDim.x) {
        const u32 run = blockIdx.x * TILE_PLACES + at;
        const u32 word = __ballot_sync(ALL_LANES, run < *runs && run_lots[run] != 0);
        if (at % WARP == 0) marked[blockIdx.x * WORDS_OF_TILE + at / WARP] = word;
    }
}

// Writes the marked runs, without gaps, as events.
extern "C" __global__ void __launch_bounds__(256) write_merged(
    const Code* __restrict__ code, const u32* __restrict__ marked, const u32* __restrict__ offsets,
    const u64* __restrict__ run_codes, const i64* __restrict__ run_lots, i32* __restrict__ row,
    i32* __restrict__ open_minute, u16* __restrict__ key, i64* __restrict__ lots, u8* __restrict__ cause) {
    const u32 lane = threadIdx.x % WARP, tile = blockIdx.x;
    const u32 own_word = lane < WORDS_OF_TILE ? marked[(i64)tile * WORDS_OF_TILE + lane] : 0;
    const u32 before_word = sum_up_to_here((u32)__popc(own_word), lane) - __popc(own_word);
    for (u32 word = threadIdx.x / WARP; word < WORDS_OF_TILE; word += blockDim.x / WARP) {
        const u32 bits = __shfl_sync(ALL_LANES, own_word, word);
        const u32 before = __shfl_sync(ALL_LANES, before_word, word);
        if (!(bits >> lane & 1)) continue;
        const u32 run = tile * TILE_PLACES + word * WARP + lane;
        const u32 out = offsets[tile] + before + __popc(bits & ((1u << lane) - 1));
        u64 left = run_codes[run];
        if (code->keeps_cause != 0) cause[out] = (u8)((left & ((1ull << code->cause_bits) - 1)) + code->first_cause);
        left >>= code->cause_bits;
        key[out] = (u16)((left & ((1ull << code->key_bits) - 1)) + code->first_key);
        left >>= code->key_bits;
        const u32 opened = (u32)(left & ((1ull << code->open_bits) - 1)) + (u32)code->first_open;
        open_minute[out] = (i32)(opened * code->bin_minutes);
        left >>= code->open_bits;
        row[out] = (i32)(((u32)(left & ((1ull << code->row_bits) - 1)) + (u32)code->first_row) * code->row_unit);
        lots[out] = run_lots[run];
    }
}

// Writes how many marked runs come before each event bin. bin_shift: of the bin in a code. starts: [bin].
extern "C" __global__ void __launch_bounds__(256) start_bins(
    u32 bins, u32 bin_shift, u32 count, const u32* __restrict__ runs, const u64* __restrict__ run_codes,
    const u32* __restrict__ marked, const u32* __restrict__ offsets, const u32* __restrict__ total,
    u32* __restrict__ starts) {
    const u32 bin = blockIdx.x * blockDim.x + threadIdx.x;
    if (bin >= bins) return;
    const u64 first_code = (u64)bin << bin_shift;
    u32 begin = 0, end = *runs;
    while (begin < end) {
        const u32 middle = begin + (end - begin) / 2;
        if (run_codes[middle] < first_code) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    starts[bin] = begin < count ? marked_before(begin, 0, marked, offsets) : *total;
}

// ---- rows ------------------------------------------------------------------------------------------------

// Writes every row floored to rows some times as high; see coarse_row.
extern "C" __global__ void __launch_bounds__(256) coarsen_rows(
    u32 count, u32 magic, u32 shift, const i32* __restrict__ row, i32* __restrict__ coarse) {
    const u32 at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at < count) coarse[at] = coarse_row(row[at], magic, shift);
}

// Warp functions, for both runtimes: a lane states what it calls, and the last of a group gives all of them the values.
#pragma once

#include "cuda_shim.h"

namespace cuda_shim {

struct Lane {
    bool alive = false, waiting = false;
    const char* what = nullptr;
    int line = 0;
    unsigned mask = 0;
    unsigned long long value = 0;
    Exchange result = {};
};

// Lets the group of a waiting lane go on if all of its lanes that have not returned wait for the same; says whether.
inline bool complete_group(Lane* warp, unsigned lane) {
    const Lane& one = warp[lane];
    if (!one.waiting) return false;
    Exchange all = {};
    for (unsigned i = 0; i < 32; i++) {
        if (!(one.mask >> i & 1) || !warp[i].alive) continue;
        if (!warp[i].waiting || warp[i].line != one.line || warp[i].mask != one.mask || warp[i].what != one.what) {
            return false;
        }
        all.present |= 1u << i;
        all.values[i] = warp[i].value;
    }
    for (unsigned i = 0; i < 32; i++) {
        if (!(all.present >> i & 1)) continue;
        warp[i].result = all;
        warp[i].waiting = false;
    }
    return true;
}

// A lane returns: a group may have waited for it alone. Says whether one did.
inline bool leave(Lane* warp, unsigned lane) {
    bool released = false;
    warp[lane].alive = false;
    for (unsigned i = 0; i < 32; i++) released |= complete_group(warp, i);
    return released;
}

}  // namespace cuda_shim

// The CUDA C++ that the kernels use, for a CPU compiler: included before their source, which is compiled as it is.
// What is left out on purpose does not compile: two- and three-dimensional launches, __activemask(), the warp functions
// without a mask.
#pragma once

#include <cstddef>
#include <utility>

namespace cuda_shim {

struct Index {
    unsigned x;
};

struct Thread {
    Index thread, block, block_size, grid_size;
    unsigned multiprocessor;  // which of the copies of the kernels, and so of their shared memory, it runs
};

// What every lane of a group gave to a warp function; only the lanes in `present` did.
struct Exchange {
    unsigned present;
    unsigned long long values[32];
};

#ifdef CUDA_SHIM_THREADS
extern thread_local Thread* current;
#else
extern Thread* current;
#endif

// Implemented by fibers.cpp and by threads.cpp.
void barrier(int line);
const Exchange& exchange(const char* what, int line, unsigned mask, unsigned long long value);
[[noreturn]] void no_such_lane(const char* what, int line, unsigned lane);

inline unsigned lane() { return current->thread.x % 32; }

template <class T>
T value_of(const char* what, int line, const Exchange& all, unsigned from) {
    if (from >= 32 || !(all.present >> from & 1)) no_such_lane(what, line, from);
    T value;
    __builtin_memcpy(&value, &all.values[from], sizeof value);
    return value;
}

template <class T>
unsigned long long bits_of(T value) {
    static_assert(sizeof value <= 8, "a lane exchanges 64 bits at most");
    unsigned long long bits = 0;
    __builtin_memcpy(&bits, &value, sizeof value);
    return bits;
}

inline unsigned ballot(int line, unsigned mask, bool predicate) {
    const Exchange& all = exchange("__ballot_sync", line, mask, predicate);
    unsigned set = 0;
    for (unsigned i = 0; i < 32; i++) {
        if (all.present >> i & 1) set |= unsigned(all.values[i]) << i;
    }
    return set;
}

template <class T>
T shuffle(int line, unsigned mask, T value, unsigned from) {
    return value_of<T>("__shfl_sync", line, exchange("__shfl_sync", line, mask, bits_of(value)), from % 32);
}

template <class T>
T shuffle_up(int line, unsigned mask, T value, unsigned distance) {
    const Exchange& all = exchange("__shfl_up_sync", line, mask, bits_of(value));
    return distance > lane() ? value : value_of<T>("__shfl_up_sync", line, all, lane() - distance);
}

template <class T>
unsigned match_any(int line, unsigned mask, T value) {
    const Exchange& all = exchange("__match_any_sync", line, mask, bits_of(value));
    unsigned equal = 0;
    for (unsigned i = 0; i < 32; i++) {
        if (all.present >> i & 1 && all.values[i] == bits_of(value)) equal |= 1u << i;
    }
    return equal;
}

inline unsigned reduce_add(int line, unsigned mask, unsigned value) {
    const Exchange& all = exchange("__reduce_add_sync", line, mask, value);
    unsigned sum = 0;
    for (unsigned i = 0; i < 32; i++) {
        if (all.present >> i & 1) sum += unsigned(all.values[i]);
    }
    return sum;
}

// How the loader calls a kernel and checks what it is given.
template <class... P, std::size_t... I>
void call_with(void (*kernel)(P...), void** arguments, std::index_sequence<I...>) {
    kernel(*static_cast<P*>(arguments[I])...);
}

template <class... P>
void call(void (*kernel)(P...), void** arguments) {
    call_with(kernel, arguments, std::index_sequence_for<P...>());
}

template <class... P>
int sizes(void (*)(P...), int* out) {
    ((*out++ = sizeof(P)), ...);
    return sizeof...(P);
}

}  // namespace cuda_shim

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
// A section of its own, so that the runtime can fill shared memory with rubbish before each block.
#define __shared__ static __attribute__((section(CUDA_SHIM_SHARED)))

#define threadIdx (cuda_shim::current->thread)
#define blockIdx (cuda_shim::current->block)
#define blockDim (cuda_shim::current->block_size)
#define gridDim (cuda_shim::current->grid_size)

#define __syncthreads() cuda_shim::barrier(__LINE__)
#define __syncwarp(mask) (void)cuda_shim::exchange("__syncwarp", __LINE__, mask, 0)
#define __ballot_sync(mask, predicate) cuda_shim::ballot(__LINE__, mask, predicate)
#define __shfl_sync(mask, value, from) cuda_shim::shuffle(__LINE__, mask, value, from)
#define __shfl_up_sync(mask, value, distance) cuda_shim::shuffle_up(__LINE__, mask, value, distance)
#define __match_any_sync(mask, value) cuda_shim::match_any(__LINE__, mask, value)
#define __reduce_add_sync(mask, value) cuda_shim::reduce_add(__LINE__, mask, value)

template <class T>
T atomicAdd(T* at, T value) {
    return __atomic_fetch_add(at, value, __ATOMIC_RELAXED);
}
template <class T>
T atomicOr(T* at, T value) {
    return __atomic_fetch_or(at, value, __ATOMIC_RELAXED);
}
template <class T>
T atomicExch(T* at, T value) {
    return __atomic_exchange_n(at, value, __ATOMIC_RELAXED);
}

// Loops here and only here: on a GPU they are native.
template <class T>
T atomicMin(T* at, T value) {
    T before = __atomic_load_n(at, __ATOMIC_RELAXED);
    while (value < before &&
           !__atomic_compare_exchange_n(at, &before, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return before;
}
template <class T>
T atomicMax(T* at, T value) {
    T before = __atomic_load_n(at, __ATOMIC_RELAXED);
    while (before < value &&
           !__atomic_compare_exchange_n(at, &before, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return before;
}

struct alignas(16) int4 {
    int x, y, z, w;
};
struct alignas(16) longlong2 {
    long long x, y;
};
struct alignas(8) ushort4 {
    unsigned short x, y, z, w;
};

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(unsigned x) { return __builtin_ffs(int(x)); }
inline int __clz(unsigned x) { return x == 0 ? 32 : __builtin_clz(x); }
inline int __clzll(unsigned long long x) { return x == 0 ? 64 : __builtin_clzll(x); }
inline unsigned __umulhi(unsigned x, unsigned y) { return unsigned((unsigned long long)x * y >> 32); }
inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
    return (unsigned long long)((unsigned __int128)x * y >> 64);
}
inline int __double2hiint(double x) { return int(cuda_shim::bits_of(x) >> 32); }
template <class T>
T __ldg(const T* at) {
    return *at;
}
template <class T>
T min(T x, T y) {
    return y < x ? y : x;
}
template <class T>
T max(T x, T y) {
    return x < y ? y : x;
}

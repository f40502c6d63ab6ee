// Runs a launch with a CPU thread for each CUDA thread, two blocks at a time, for the sanitizers to watch.
// Finds what one CPU thread cannot show: races within a block and between blocks, and accesses out of bounds.

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "warps.h"

extern char __start_cs_shared_0[] __attribute__((weak));
extern char __stop_cs_shared_0[] __attribute__((weak));
extern char __start_cs_shared_1[] __attribute__((weak));
extern char __stop_cs_shared_1[] __attribute__((weak));

namespace cuda_shim {

thread_local Thread* current = nullptr;

namespace {

constexpr unsigned MULTIPROCESSORS = 2;  // copies of the kernels, each with shared memory of its own

// std::barrier would do, but all of them wait through one table, and what passes through it orders threads that no
// barrier of the kernels orders: races between blocks would go unseen.
//
// Its rounds take turns at two mutexes. Who wakes late from a round locks that round's mutex, and with a single one that
// could be after a faster thread has arrived at the next round: what both do between the rounds would look ordered, and
// on a busy machine, where many wake late, a barrier that is missing there would go unseen.
class Barrier {
  public:
    explicit Barrier(unsigned members) : members_(members) {}

    // round: how many rounds this thread has been through.
    void arrive_and_wait(unsigned& round) {
        Half& half = halves_[round++ % 2];
        std::unique_lock lock(half.mutex);
        const unsigned openings = half.openings;
        half.waiting++;
        open_if_complete(half);
        half.opened.wait(lock, [&half, openings] { return half.openings != openings; });
    }

    void leave(unsigned round) {
        Half& half = halves_[round % 2];
        const std::lock_guard lock(half.mutex);
        members_.fetch_sub(1, std::memory_order_relaxed);
        open_if_complete(half);
    }

  private:
    struct Half {
        std::mutex mutex;
        std::condition_variable opened;
        unsigned waiting = 0, openings = 0;
    };

    void open_if_complete(Half& half) {
        if (half.waiting == 0 || half.waiting < members_.load(std::memory_order_relaxed)) return;
        half.waiting = 0;
        half.openings++;
        half.opened.notify_all();
    }

    Half halves_[2];
    std::atomic<unsigned> members_;  // relaxed: it orders nothing
};

struct Warp {
    std::mutex mutex;
    std::condition_variable released;
    Lane lanes[32];
};

struct Block {
    explicit Block(unsigned threads) : barrier(threads), warps((threads + 31) / 32) {
        for (unsigned i = 0; i < threads; i++) warps[i / 32].lanes[i % 32].alive = true;
    }
    Barrier barrier;
    std::vector<Warp> warps;
};

thread_local Block* current_block = nullptr;
thread_local unsigned own_round = 0;  // of the block's barrier

Warp& own_warp() { return current_block->warps[current->thread.x / 32]; }

// Byte by byte and unwatched: between the arrays lie bytes that the address sanitizer lets nobody touch.
__attribute__((no_sanitize("address"))) void poison(unsigned multiprocessor) {
    volatile char* begin = multiprocessor == 0 ? __start_cs_shared_0 : __start_cs_shared_1;
    volatile char* end = multiprocessor == 0 ? __stop_cs_shared_0 : __stop_cs_shared_1;
    for (; begin != end; begin = begin + 1) *begin = char(0xA5);
}

}  // namespace

void barrier(int) { current_block->barrier.arrive_and_wait(own_round); }

const Exchange& exchange(const char* what, int line, unsigned mask, unsigned long long value) {
    Warp& warp = own_warp();
    std::unique_lock lock(warp.mutex);
    Lane& own = warp.lanes[lane()];
    own.waiting = true;
    own.what = what;
    own.line = line;
    own.mask = mask;
    own.value = value;
    if (complete_group(warp.lanes, lane())) warp.released.notify_all();
    warp.released.wait(lock, [&own] { return !own.waiting; });
    return own.result;
}

void no_such_lane(const char* what, int line, unsigned from) {
    std::fprintf(stderr, "%s at line %d reads lane %u, which takes no part\n", what, line, from);
    std::abort();
}

}  // namespace cuda_shim

extern "C" void cuda_shim_order(int, unsigned long long) {}

extern "C" const char* cuda_shim_launch(void (*kernel)(void**), unsigned blocks, unsigned threads, void** arguments) {
    using namespace cuda_shim;
    std::vector<std::unique_ptr<Block>> made;
    for (unsigned block = 0; block < blocks; block++) made.push_back(std::make_unique<Block>(threads));
    std::vector<std::unique_ptr<Barrier>> between;
    for (unsigned i = 0; i < MULTIPROCESSORS; i++) between.push_back(std::make_unique<Barrier>(threads));

    const auto work = [&](unsigned multiprocessor, unsigned thread) {
        unsigned round = 0;
        for (unsigned block = multiprocessor; block < blocks; block += MULTIPROCESSORS) {
            Thread self = {{thread}, {block}, {threads}, {blocks}, multiprocessor};
            current = &self;
            current_block = made[block].get();
            own_round = 0;
            if (thread == 0) poison(multiprocessor);
            between[multiprocessor]->arrive_and_wait(round);
            kernel(arguments);
            {
                Warp& warp = own_warp();
                const std::lock_guard lock(warp.mutex);
                if (leave(warp.lanes, lane())) warp.released.notify_all();
            }
            current_block->barrier.leave(own_round);
            between[multiprocessor]->arrive_and_wait(round);
        }
    };
    std::vector<std::thread> running;
    for (unsigned i = 0; i < MULTIPROCESSORS; i++) {
        for (unsigned thread = 0; thread < threads; thread++) running.emplace_back(work, i, thread);
    }
    for (auto& one : running) one.join();
    return nullptr;
}

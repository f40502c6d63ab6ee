// Runs a launch with a CPU thread for each CUDA thread, two blocks at a time, for the sanitizers to watch.
// Finds what one CPU thread cannot show: races within a block and between blocks, and accesses out of bounds.

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
class Barrier {
  public:
    explicit Barrier(unsigned members) : members_(members) {}

    void arrive_and_wait() {
        std::unique_lock lock(mutex_);
        const unsigned round = round_;
        waiting_++;
        open_if_complete();
        opened_.wait(lock, [this, round] { return round_ != round; });
    }

    void leave() {
        const std::lock_guard lock(mutex_);
        members_--;
        open_if_complete();
    }

  private:
    void open_if_complete() {
        if (waiting_ == 0 || waiting_ < members_) return;
        waiting_ = 0;
        round_++;
        opened_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable opened_;
    unsigned members_, waiting_ = 0, round_ = 0;
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

Warp& own_warp() { return current_block->warps[current->thread.x / 32]; }

// Byte by byte and unwatched: between the arrays lie bytes that the address sanitizer lets nobody touch.
__attribute__((no_sanitize("address"))) void poison(unsigned multiprocessor) {
    volatile char* begin = multiprocessor == 0 ? __start_cs_shared_0 : __start_cs_shared_1;
    volatile char* end = multiprocessor == 0 ? __stop_cs_shared_0 : __stop_cs_shared_1;
    for (; begin != end; begin = begin + 1) *begin = char(0xA5);
}

}  // namespace

void barrier(int) { current_block->barrier.arrive_and_wait(); }

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
        for (unsigned block = multiprocessor; block < blocks; block += MULTIPROCESSORS) {
            Thread self = {{thread}, {block}, {threads}, {blocks}, multiprocessor};
            current = &self;
            current_block = made[block].get();
            if (thread == 0) poison(multiprocessor);
            between[multiprocessor]->arrive_and_wait();
            kernel(arguments);
            {
                Warp& warp = own_warp();
                const std::lock_guard lock(warp.mutex);
                if (leave(warp.lanes, lane())) warp.released.notify_all();
            }
            current_block->barrier.leave();
            between[multiprocessor]->arrive_and_wait();
        }
    };
    std::vector<std::thread> running;
    for (unsigned i = 0; i < MULTIPROCESSORS; i++) {
        for (unsigned thread = 0; thread < threads; thread++) running.emplace_back(work, i, thread);
    }
    for (auto& one : running) one.join();
    return nullptr;
}
